"""Fits to an asked rate or quality."""

from __future__ import annotations

import argparse
import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinr_pl.class_paths import find_class
from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    from quinr_pl.commands.fit_flags import FitFlags
    from quinr_pl.fitting import FitResult
    from quinr_pl.signals import SignalSpec

PSNR_TRIES = 5
_PSNR_TOLERANCE, _PSNR_MOST_BPP, _PSNR_LARGEST = 0.2, 2.0, 100.0


class OutOfReachError(QuinrError):
    """What was asked for cannot be had, and another run would not have it either."""


def check_rate(options: argparse.Namespace) -> None:
    """Refuses a rate or quality that no fit can have.

    Raises:
        QuinrError: If it is not.
    """
    if options.bpp is not None and not 0 < options.bpp < math.inf:
        raise QuinrError(f"--bpp {options.bpp:g}: must be a positive number of bits for each pixel")
    if options.psnr is not None and not 0 < options.psnr <= _PSNR_LARGEST:
        raise QuinrError(f"--psnr {options.psnr:g}: must lie between 0 and {_PSNR_LARGEST:g} dB")


@dataclass(frozen=True)
class RatedFit:
    """One input that is fitted to what the command line asks for.

    Args:
        options: ``bpp``, ``psnr`` and ``preset``, at most one of them.
        flags: Of the fit.
        settings: What they resolve to.
        path: Path of the input.
        title: What the output is called.
    """

    options: argparse.Namespace
    flags: FitFlags
    settings: dict[str, Any]
    path: Path
    title: str

    def run(self, folder: Path) -> bytes:
        """Fits, and gives the bytes of the file.

        Args:
            folder: Where the runs of the fits are kept.

        Raises:
            QuinrError: If the input or a setting is wrong, or what is asked for is out of reach.
        """
        from quinr_pl.commands.fit_flags import read_signal

        if self.options.psnr is not None:
            return self._reach_psnr(folder)
        if self.options.bpp is None and self.options.preset is None:
            return self._fit(self.settings, folder, self.title).path.read_bytes()
        self._require_sizes()
        spec = read_signal(self.settings, self.path).spec
        most_bytes = self._most_bytes(spec)
        data = self._fit(self._sized(spec, most_bytes), folder, self.title).path.read_bytes()
        if len(data) > most_bytes:
            raise OutOfReachError(
                f"{self._flag}: the smallest file of this network has {len(data)} bytes, more than the "
                f"{most_bytes} asked for; ask for more, or leave out the flags that set its size"
            )
        return data

    def _fit(self, settings: dict[str, Any], folder: Path, title: str) -> FitResult:
        from quinr_pl.fitting import fit

        data = settings["data"]
        data = {**data, "init_args": {**data["init_args"], "path": str(self.path)}}
        # The input's own name may be as long as a name can be.
        return fit({**settings, "data": data}, folder, name="signal", title=title)

    @property
    def _flag(self) -> str:
        given = ((name, getattr(self.options, name)) for name in ("bpp", "psnr", "preset"))
        return next(f"--{name} {value}" for name, value in given if value is not None)

    def _require_sizes(self) -> None:
        """Refuses networks and quantizers whose size no flag of the command sets."""
        from quinr_pl.network import Network, QuINR

        path = self.settings["model"]["network"]["class_path"]
        network = find_class(path, Network, "--model.network")
        if network is not QuINR:
            weighs = "rate_weight" in inspect.signature(network).parameters
            remedy = "set --model.network.rate_weight instead" if weighs else "leave one of them out"
            raise QuinrError(
                f"{self._flag}: sets the size of QuINR, and the config has {network.__name__}; {remedy}"
            )
        if _trains_for_quantization(self.settings):
            raise QuinrError(
                f"{self._flag}: the training of WeightQuantization settles the size itself; leave one of "
                "them out"
            )

    def _most_bytes(self, spec: SignalSpec) -> int:
        from quinr_pl.codec.file.encoder import mask_bytes
        from quinr_pl.codec.rate_control import FEWEST_BYTES, PRESETS

        mask = mask_bytes(spec)
        if self.options.preset is not None:
            return mask + max(FEWEST_BYTES, int(PRESETS[self.options.preset] * spec.pixels / 8))
        most_bytes = int(self.options.bpp * spec.pixels / 8)
        if mask and most_bytes < mask + FEWEST_BYTES:
            raise QuinrError(
                f"{self._flag}: {most_bytes} bytes are too few for the mask's {mask} and a network's "
                f"{FEWEST_BYTES}; ask for more, or leave the mask out (--data.mask false)"
            )
        return most_bytes

    def _sized(self, spec: SignalSpec, most_bytes: int) -> dict[str, Any]:
        """Settings with the network and the quantizer that an asked size needs."""
        from pytorch_lightning.cli import instantiate_class

        from quinr_pl.codec.file.encoder import mask_bytes
        from quinr_pl.codec.rate_control import network_for_bytes, rounding_for_bytes
        from quinr_pl.codec.rounding import as_options

        own_bytes = most_bytes - mask_bytes(spec)
        network = network_for_bytes(own_bytes, spec.channels)
        sized = [f"--model.network.{name}={value}" for name, value in network.items()]
        settings = self.flags.resolve(sized)
        # The user's flags may have made the network another one.
        weights = instantiate_class((), settings["model"]["network"]).parameter_count()
        settings["quantization"] = as_options(rounding_for_bytes(own_bytes, weights))
        return settings

    def _reach_psnr(self, folder: Path) -> bytes:
        """The smallest of a few files that reaches the PSNR asked for: a whole fit for each try."""
        from quinr_pl.codec.file.encoder import mask_bytes
        from quinr_pl.codec.rate_control import FEWEST_BYTES, PRESETS, bytes_for_psnr
        from quinr_pl.commands.fit_flags import read_signal

        self._require_sizes()
        spec = read_signal(self.settings, self.path).spec
        wanted, fewest = self.options.psnr, FEWEST_BYTES + mask_bytes(spec)
        size = max(fewest, int(PRESETS["medium"] * spec.pixels / 8))
        most = max(fewest, int(_PSNR_MOST_BPP * spec.pixels / 8))
        measured: list[tuple[int, float]] = []
        best: FitResult | None = None
        tried: list[int] = []
        while len(tried) < PSNR_TRIES and size not in tried:
            attempt = folder / str(len(tried))
            tried.append(size)
            title = f"try {len(tried)} of at most {PSNR_TRIES}"
            result = self._fit(self._sized(spec, size), attempt, title)
            reached = min(result.psnr, 2 * _PSNR_LARGEST)
            measured.append((result.bytes, reached))
            if reached >= wanted and (best is None or result.bytes < best.bytes):
                best = result
            if 0 <= reached - wanted <= _PSNR_TOLERANCE:
                break
            # Aim at the middle of what is good enough.
            size = max(fewest, min(bytes_for_psnr(measured, wanted + _PSNR_TOLERANCE / 2), most))
        if best is None:
            highest = max(reached for _, reached in measured)
            raise OutOfReachError(
                f"{self._flag}: {len(measured)} tries of at most {_PSNR_MOST_BPP:g} bits per pixel reached "
                f"{highest:.2f} dB; ask for less, or fit longer (--trainer.max_steps)"
            )
        return best.path.read_bytes()


def _trains_for_quantization(settings: dict[str, Any]) -> bool:
    """Whether the WeightQuantization in the settings of a fit trains, and so finds the step sizes itself."""
    from quinr_pl.fitting.quantizers import listed, quantizes

    return any(
        quantizes(callback["class_path"]) and callback["init_args"]["training"] is not None
        for callback in listed(settings["trainer"]["callbacks"])
    )
