"""Compress an array or a file in one call: `quinr-pl compress` for programs."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.utilities.seed import isolate_rng

from quinr_pl.class_paths import find_class
from quinr_pl.commands.ask import USUAL_EFFORT, Ask
from quinr_pl.commands.compress_frames import USUAL_KEY_DISTANCE, FramesFit
from quinr_pl.commands.fit_flags import FitFlags, in_flag
from quinr_pl.commands.frame_files import FRAMES_AXES
from quinr_pl.commands.input_file import calling, require_file
from quinr_pl.commands.rate import RatedFit
from quinr_pl.errors import QuinrError
from quinr_pl.fit_status import FitStatus
from quinr_pl.fitting.quantizers import listed


class CompressedBytes(bytes):
    """The bytes of a ``.quinr`` file, and how they came about.

    Attributes:
        figures: ``bytes``, ``bpp``, ``psnr`` in dB (None if infinite), ``seconds``, ``network`` and
            ``lambda``.
    """

    figures: Mapping[str, Any]

    def __new__(cls, data: bytes, figures: Mapping[str, Any]) -> CompressedBytes:
        """Bytes with figures."""
        made = super().__new__(cls, data)
        made.figures = dict(figures)
        return made

    def __getnewargs__(self) -> tuple[bytes, Mapping[str, Any]]:  # type: ignore[override]
        return bytes(self), self.figures


def compress(
    source: npt.ArrayLike | str | os.PathLike[str] | Sequence[npt.NDArray | str | os.PathLike[str]],
    *,
    bpp: float | None = None,
    bytes: int | None = None,  # as the flag is called
    psnr: float | None = None,
    bits_per_point: float | None = None,
    chamfer: float | None = None,
    preset: str | None = None,
    effort: int = USUAL_EFFORT,
    network: str | None = None,
    config: str | Path | Sequence[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: bool | Callable[[FitStatus], None] = False,
    key_distance: int = USUAL_KEY_DISTANCE,
) -> CompressedBytes:
    """Fit a network to an array or a file, and give the ``.quinr`` file that decodes to it.

    A fit takes minutes where ``effort`` is 3.

    Args:
        source: (height, width) or (height, width, channels): uint8 and uint16 are an image, anything else
            decodes as float32. With ``{"data.volume": True}`` in the settings, (depth, height, width) or
            (depth, height, width, channels) of any type. Or the path of a file; see docs/inputs.md. A list of
            these, or (frames, height, width, channels), gives a file of frames.
        bpp: Bits for each pixel, of all frames, at most.
        bytes: Bytes of the file, at most.
        psnr: dB of the decoded array, at least; a few fits, one after another, find the size.
        bits_per_point: Of a scan of points, bits for each, at most.
        chamfer: Of a scan of points, Chamfer distance of the decoded ones in metres, at most; a few fits too.
        preset: "tiny", "small", "medium" or "large": 0.02 to 0.2 bits for each pixel. 0.1 where nothing is
            asked for and no config is named.
        effort: 1 to 5: seconds to most of an hour.
        network: "latents" or "coordinates"; what suits the size when left out.
        config: YAML files or names of packaged configs to fit by instead, the first one first.
        settings: Further settings of `quinr-pl fit` by their flags' names, which win over the configs.
        seed: Seed of the initial weights and of the pixels' order; the program's own generators stay as
            they are.
        progress: True for a bar with steps and figures. A function is called with a `FitStatus` a few times
            a second: share of the work that is done, PSNR and bytes as they stand. The share falls where a
            fit missed what is asked for and another one follows; the last one is 1. What the function raises
            ends the work.
        key_distance: Of several frames every so many stand for themselves.

    Returns:
        The bytes of the file, the same for the same input, settings, seed and machine; with ``figures``.

    Raises:
        QuinrError: If the input or a setting is wrong, or what is asked for is out of reach.

    Example:
        >>> import numpy as np
        >>> from quinr_pl import compress, decompress
        >>> rows, columns = np.mgrid[:16, :24]
        >>> image = (8 * rows + 4 * columns).astype(np.uint8)
        >>> quick = {"trainer.max_steps": 4, "data.batch_size": 64, "data.steps_per_epoch": 2}
        >>> data = compress(image, bytes=300, network="coordinates", settings=quick)
        >>> len(data) <= 300, len(data) == data.figures["bytes"]
        (True, True)
        >>> back = decompress(data)
        >>> back.shape, back.dtype
        ((16, 24, 1), dtype('uint8'))
    """
    ask = Ask(bpp, bytes, psnr, preset, effort, network, bits_per_point, chamfer)
    overrides = {"seed_everything": seed, **(settings or {})}
    configs = [config] if isinstance(config, str | Path) else config
    tell, shown = (progress, False) if callable(progress) else (None, progress)
    flags = (FitFlags if shown else _SilentFlags)(
        [str(name) for name in configs], [f"--{name}={_text(value)}" for name, value in overrides.items()]
    )
    with tempfile.TemporaryDirectory(prefix="quinr-pl-") as folder, _silence(shown), isolate_rng():
        if (frames := _frames(source, flags)) is not None:
            paths = [_path_of(frame, Path(folder, f"{n:06d}.npy"))[0] for n, frame in enumerate(frames)]
            frames_job = FramesFit(ask, flags, paths, "frames", key_distance, shown, tell)
            compressed = frames_job.run(Path(folder))
            return CompressedBytes(compressed.data, compressed.figures)
        path, name = _path_of(source, Path(folder, "array.npy"))
        with calling(path, name):
            job = RatedFit(ask, flags, path, name, announces=shown, tell=tell)
            compressed = job.run(Path(folder, "run"))
    return CompressedBytes(compressed.data, compressed.figures)


def _frames(source: Any, flags: FitFlags) -> Sequence[Any] | None:
    """The frames of a source of several; None of one signal."""
    if isinstance(source, np.ndarray):
        return list(source) if source.ndim == FRAMES_AXES and not flags.reads_volumes() else None
    if isinstance(source, list | tuple) and source:
        items = np.ndarray, str, os.PathLike
        return source if all(isinstance(item, items) for item in source) else None
    return None


def _path_of(source: Any, saved: Path) -> tuple[Path, str]:
    """Where a signal lies as a file, and what messages call it."""
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        require_file(name, "give an image, a scan or an array")
        return Path(source).absolute(), name
    np.save(saved, _numbers(source))
    return saved, "array"


class _SilentFlags(FitFlags):
    """Settings of a fit without a bar."""

    def resolve(self, base: str, planned: Mapping[str, Any] | None = None) -> dict[str, Any]:
        settings = super().resolve(base, planned)
        trainer = settings["trainer"]
        trainer["callbacks"] = [
            callback
            for callback in listed(trainer["callbacks"])
            if not issubclass(find_class(callback["class_path"], Callback, "callbacks"), ProgressBar)
        ]
        trainer["enable_progress_bar"] = False
        return settings


def _numbers(array: npt.ArrayLike) -> npt.NDArray:
    values = np.asarray(array)
    if values.dtype.kind not in "biuf":
        raise QuinrError(f"array: its dtype is {values.dtype}; give integers or real numbers")
    return values


def _text(value: Any) -> str:
    return value if isinstance(value, str) else in_flag(value)


@contextmanager
def _silence(shown: bool) -> Iterator[None]:
    """Keeps what commands say of their work off the terminal, unless it is to be shown."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    if not shown:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(), nullcontext() if shown else redirect_stdout(io.StringIO()):
            yield  # commands quieten other packages' deprecations
    finally:
        logger.setLevel(before)
