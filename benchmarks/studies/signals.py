"""Signals of the studies: synthetic ones of known spectra, and crops of photographs and range images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import DataLoader

from quinr_pl.codec import decode
from quinr_pl.datamodules import (
    CoordinateDataModule,
    KittiRangeImageDataModule,
    KodakDataModule,
    SampleDataModule,
    SyntheticScanDataModule,
)
from quinr_pl.datamodules.coordinates import CoordinateDataset, RandomBlockSampler, ResumableBlocks
from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.fit_configs import data_module_of
from quinr_pl.experiments.trees import Tree
from quinr_pl.signals import KINDS, Signal, SignalKind, SignalSpec, coordinates, image_spec

Floats = npt.NDArray[np.float64]
GRID = KINDS.register(1000, SignalKind(1000, "grid", None, "float32", (0.0, 1.0)))
"""Real numbers on any number of axes."""
SYNTHETIC = ("chirp", "noise", "edges")
SIZES: Mapping[int, int] = {1: 512, 2: 32}
"""Samples of each axis, by the number of axes."""
BAND = 0.25
"""Highest frequency of chirps and noise in cycles a sample: half of what samples can tell."""
_EDGES = 6


class SyntheticDataModule(CoordinateDataModule):
    """A signal of one channel in [0, 1] whose spectrum is known.

    "chirp" rises evenly from frequency 0 at the start, or in the middle of two axes, to ``BAND`` at the end;
    "noise" is Gaussian and has equal power at all frequencies up to there and none above; "edges" is constant
    between a few straight jumps, so that its amplitudes fall with the frequency; "mixed" is the sum of the
    three.

    Args:
        signal: One of ``SYNTHETIC``, or "mixed".
        axes: 1 or 2.
        size: Samples of each axis.
        draw: Seed of noise and edges.
        **blocks: Further arguments of `CoordinateDataModule`.

    Raises:
        QuinrError: If there is no such signal.
    """

    def __init__(self, signal: str, axes: int, size: int, draw: int = 0, **blocks: Any) -> None:
        super().__init__(f"{signal}-{axes}d", **blocks)
        if signal not in (*SYNTHETIC, "mixed") or axes not in SIZES:
            raise QuinrError(
                f"--data.signal {signal}, --data.axes {axes}: {', '.join(SYNTHETIC)}, mixed of 1 or 2 axes"
            )
        self._signal, self._shape, self._draw = signal, (size,) * axes, draw

    def read(self) -> Signal:
        """Draw the signal."""
        names = SYNTHETIC if self._signal == "mixed" else [self._signal]
        random = np.random.default_rng(self._draw)
        drawn = sum(_scaled(_MAKERS[name](self._shape, random)) for name in names)
        values = _scaled(drawn).astype(np.float32)[..., None]
        return Signal(values, SignalSpec.of(GRID, values))


def chirp(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """A cosine whose frequency grows with the distance from the start, or of more axes from the middle."""
    axes = [np.arange(n) if len(shape) == 1 else np.arange(n) - (n - 1) / 2 for n in shape]
    square = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    wave: Floats = np.cos(np.pi * BAND / max(axes[0]) * square)
    return wave


def band_limited_noise(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """Gaussian noise without the frequencies above the band, periodic."""
    spectrum = np.fft.fftn(random.standard_normal(shape))
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij", sparse=True)
    spectrum[sum(f**2 for f in frequencies) > BAND**2] = 0
    noise: Floats = np.fft.ifftn(spectrum).real
    return noise


def edges(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """A sum of steps of random heights, each across a random straight line."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    steps: Floats = np.zeros(shape)
    for _ in range(_EDGES):
        normal = random.standard_normal(len(shape))
        across = sum(n * axis for n, axis in zip(normal / np.linalg.norm(normal), axes, strict=True))
        steps += random.uniform(-1, 1) * (across > random.uniform(-0.8, 0.8))
    return steps


_MAKERS = {"chirp": chirp, "noise": band_limited_noise, "edges": edges}


def _scaled(values: Floats) -> Floats:
    low, high = values.min(), values.max()
    scaled: Floats = (values - low) / (high - low)
    return scaled


class CropDataModule(CoordinateDataModule):
    """A part of another data module's picture.

    Args:
        of: Class path and arguments of the other data module.
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
        **blocks: Further arguments of `CoordinateDataModule`.
    """

    def __init__(self, of: Tree, top: int, left: int, height: int, width: int, **blocks: Any) -> None:
        self._whole = data_module_of(of)
        super().__init__(self._whole.name, **blocks)
        self._part = slice(top, top + height), slice(left, left + width)

    def read(self) -> Signal:
        """The values of the part, and its mask."""
        whole = self._whole.read()
        values = np.ascontiguousarray(whole.values[self._part])
        mask = None if whole.spec.mask is None else whole.spec.mask[self._part]
        spec = replace(whole.spec, shape=values.shape[:-1], mask=mask, scanner=None)
        return Signal(values, spec, None if whole.valid is None else whole.valid[self._part])


class ResizedDataModule(CoordinateDataModule):
    """Another data module's picture of 8 bits with more or fewer pixels (Lanczos).

    Args:
        of: Class path and arguments of the other data module.
        scale: Of the number of rows and of columns.
        **blocks: Further arguments of `CoordinateDataModule`.
    """

    def __init__(self, of: Tree, scale: float, **blocks: Any) -> None:
        self._whole = data_module_of(of)
        super().__init__(f"{self._whole.name}-{scale:g}", **blocks)
        self._scale = scale

    @property
    def axes(self) -> int:
        """Rows and columns."""
        return 2

    @property
    def channels(self) -> int:
        """Those of the whole picture."""
        return self._whole.channels

    def read(self) -> Signal:
        """The picture, resized."""
        picture = Image.fromarray(self._whole.read().values)
        width, height = (max(1, round(self._scale * size)) for size in picture.size)
        values = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
        return Signal(values, image_spec(values))


class FieldDataModule(CoordinateDataModule):
    """A signal that a network is fitted to through another network's values.

    Training blocks have as many points as the signal has pixels; validation and files know the signal alone.

    Args:
        of: Class path and arguments of the signal's data module.
        field: File of the other network, which takes any coordinates.
        finer: Points of the field for each distance of two pixels along an axis; 1: at the pixels alone.
        **blocks: Further arguments of `CoordinateDataModule`.
    """

    def __init__(self, of: Tree, field: str, finer: int, **blocks: Any) -> None:
        self._signal = data_module_of(of)
        super().__init__(self._signal.name, **blocks)
        self._field, self._finer = Path(field), finer

    def read(self) -> Signal:
        """The signal itself."""
        return self._signal.read()

    def train_dataloader(self) -> DataLoader:
        """Random blocks of (coordinates, values of the field)."""
        network: Any = decode(self._field.read_bytes(), str(self._field)).network
        points = coordinates([self._finer * (size - 1) + 1 for size in self.spec.shape])
        taught = CoordinateDataset(points, network.evaluate(points).clamp(0, 1))
        blocks = RandomBlockSampler(len(taught), self.spec.pixels, self.steps_per_epoch, self.seed)
        return ResumableBlocks(taught, blocks)


def described(module: type[CoordinateDataModule], **arguments: Any) -> dict[str, Any]:
    """Class path and arguments of a data module."""
    return {"class_path": f"{module.__module__}.{module.__qualname__}", "init_args": arguments}


def synthetic(signal: str, axes: int, draw: int = 0, size: int | None = None) -> dict[str, Any]:
    """A synthetic signal of the usual size."""
    return described(SyntheticDataModule, signal=signal, axes=axes, size=size or SIZES[axes], draw=draw)


def photograph(size: int = 48) -> dict[str, Any]:
    """A photograph that the package brings along, made so many pixels wide."""
    return described(SampleDataModule, image="chelsea", longer_side=size)


def natural(size: int = SIZES[2]) -> list[dict[str, Any]]:
    """Crops of a photograph and of a range image: Kodak's and KITTI's where ``QUINR_DATA`` is set."""
    if os.environ.get(ENVIRONMENT_VARIABLE):
        picture, scan = described(KodakDataModule, image="kodim05"), described(KittiRangeImageDataModule)
    else:
        picture, scan = described(SampleDataModule, image="coffee"), described(SyntheticScanDataModule)
    return [
        described(CropDataModule, of=of, top=top, left=left, height=size, width=size)
        for of, top, left in ((picture, 150, 250), (scan, 8, 500))
    ]
