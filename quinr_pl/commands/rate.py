"""Fits to an asked rate or quality."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinr_pl.commands.ask import COORDINATES, LATENTS, Ask, OutOfReachError
from quinr_pl.commands.fit_settings import (
    network_class,
    trains_for_quantization,
    with_network,
    with_rate_control,
)
from quinr_pl.errors import QuinrError
from quinr_pl.fit_status import FitStatus

if TYPE_CHECKING:
    from quinr_pl.callbacks import FollowingFrame
    from quinr_pl.commands.fit_flags import FitFlags
    from quinr_pl.datamodules import ImageDataModule
    from quinr_pl.fitting import FitResult

STEERED_TRIES, MOST_TRIES = 2, 4
"""Fits that look for what is asked: usually, and where none is good enough or all are quick."""
_SMALL_PIXELS = 1 << 14
"""A signal whose steps take a few milliseconds, so that more fits are bearable."""
PSNR_TRIES = 5
_SIZE_TOLERANCE = 0.03
_PSNR_TOLERANCE, _CHAMFER_TOLERANCE = 0.1, 1.0  # in dB; the latter is 5 % of a distance
_NEARER = 0.9
_LOWEST_AIM = 1.0  # dB, which every file has: for distances that stand for even less
_SIZED_TOLERANCE, _SIZED_MOST_BPP, _SIZED_MOST_BYTES = 0.2, 2.0, 4096
_USUAL_BPP = 0.1
_LONGER = "fit longer (--effort, --trainer.max_steps)"


@dataclass(frozen=True)
class CompressedFile:
    """The file of one input.

    Attributes:
        data: Its bytes.
        figures: ``bytes``, ``bpp``, ``psnr`` in dB, what the signal's kind measures beyond, ``seconds``,
            ``network`` and ``lambda``, for JSON.
    """

    data: bytes
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class RatedFit:
    """One input that is fitted to what is asked for.

    Args:
        ask: What is.
        flags: Of the fit; settings that they do not name follow from what is asked for.
        path: Path of the input.
        title: What the output is called.
        announces: Whether a line says before the fit what it will take and come to.
        tell: Told how far the work is. Its share falls where a fit missed what is asked for and another one
            follows.
        after: Tells the input by another frame.
    """

    ask: Ask
    flags: FitFlags
    path: Path
    title: str
    announces: bool = True
    tell: Callable[[FitStatus], None] | None = None
    after: FollowingFrame | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the flags resolve to before the input is looked at."""
        from quinr_pl.commands.plans import CONFIGS

        if self.flags.configs and self.ask.network is not None:
            raise QuinrError(
                f"--network {self.ask.network}: the config names a network; leave one of them out"
            )
        return self._resolved(CONFIGS[self.ask.network or LATENTS], {})

    def _resolved(self, base: str, planned: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with what is planned, and what suits points where these are asked for."""
        from quinr_pl.commands.plans import OF_POINTS

        suits_points = OF_POINTS if self.ask.of_points and not self.flags.configs else {}
        return self.flags.resolve(base, {**suits_points, **planned})

    def run(self, folder: Path) -> CompressedFile:
        """Fits, and gives the file.

        Args:
            folder: Where the runs of the fits are kept.

        Raises:
            QuinrError: If the input or a setting is wrong, or what is asked for is out of reach.
        """
        if not self.flags.configs:
            return self._compressed(self._planned(folder))
        if self.ask.of_nothing:
            return self._compressed(self._fit(self.settings, folder))
        network = network_class(self.settings)
        if "rate_weight" in inspect.signature(network).parameters:
            return self._compressed(self._steered(self.settings, folder))
        return self._compressed(self._sized({}, folder))

    def _compressed(self, result: FitResult) -> CompressedFile:
        from quinr_pl.evaluation.metrics import finite

        figures = {
            "bytes": result.bytes,
            "bpp": result.bpp,
            **finite({"psnr": result.psnr, **result.measured}),
            "seconds": result.encode_seconds,
            "network": result.method,
            "lambda": result.rate_weight or None,
        }
        return CompressedFile(result.path.read_bytes(), figures)

    @cached_property
    def _data(self) -> ImageDataModule:
        from quinr_pl.commands.fit_flags import read_signal

        data = read_signal(self.settings, self.path)
        if self.after is not None:
            self.after.follow(data)
        self.ask.require_points(data.spec, data.values, data.points, self.path.name)
        return data

    @cached_property
    def _mask_bytes(self) -> int:
        from quinr_pl.codec.file.encoder import mask_bytes

        return mask_bytes(self._data.spec)

    @property
    def _points(self) -> int:
        """Number of points of a scan; 0 of other signals."""
        return 0 if self._data.points is None else len(self._data.points)

    @cached_property
    def _size(self) -> int | None:
        """Bytes that the file may have, no more than of use; None where a quality is asked for."""
        from quinr_pl.commands.plans import fewest_bytes

        spec = self._data.spec
        size = self.ask.size(spec, self._mask_bytes, self._points)
        if size is None:
            return None
        if size <= self._mask_bytes:
            raise OutOfReachError(self._too_few(size, fewest_bytes(COORDINATES, spec)))
        return min(size, max(spec.value_bytes, fewest_bytes(LATENTS, spec)))

    def _planned(self, folder: Path) -> FitResult:
        """Fits with the settings that a plan has for what is asked for."""
        from quinr_pl.commands.estimate import Jpeg2000Curve
        from quinr_pl.commands.plans import (
            CONFIGS,
            FEWEST_LATENT_BYTES,
            TRAININGS,
            coordinate_plan,
            fewest_bytes,
            latent_plan,
            network_kind,
        )

        spec, training = self._data.spec, TRAININGS[self.ask.effort]
        curve = Jpeg2000Curve(self._data.values, spec, self._data.valid)
        size, wanted = self._size, self.ask.decibels
        if size is None:
            assert wanted is not None
            bpp = curve.bpp(training.jpeg2000(wanted, spec)) if curve.usable else _USUAL_BPP
            # Latents meet a quality in one fit, which takes coordinates several.
            size = max(int(bpp * spec.pixels / 8), FEWEST_LATENT_BYTES) + self._mask_bytes
        kind = self.ask.network or network_kind(size, spec)
        if wanted is None and size < fewest_bytes(kind, spec):
            raise OutOfReachError(self._too_few(size, fewest_bytes(kind, spec)))
        if kind == COORDINATES:
            return self._sized(coordinate_plan(spec, self.ask.effort), folder)
        bpp = 8 * max(size - self._mask_bytes, 1) / spec.pixels
        plan = latent_plan(spec, size, self.ask.effort, curve.rate_weight(bpp))
        settings = self._resolved(CONFIGS[LATENTS], plan)
        quality = training.expected(curve.psnr(bpp), spec) if curve.usable else None
        self._announce(settings, folder, size, self.ask.psnr or quality)
        return self._steered(settings, folder)

    def _too_few(self, size: int, fewest: int, fitted: bool = False) -> str:
        smallest = "smallest file found" if fitted else "smallest possible file"
        least, mask = self.ask.for_bytes(fewest, self._data.spec.pixels, self._points), ""
        remedy = f"ask for {least} or more"
        if fitted:
            remedy += f", {_LONGER}"
        if self._mask_bytes:
            mask = f", {self._mask_bytes} of them its mask and rays"
            remedy += ", or leave the mask out (--data.mask false)"
        return f"{self.ask}: {size} bytes are too few; the {smallest} has {fewest}{mask}; {remedy}"

    def _announce(self, settings: Mapping[str, Any], folder: Path, size: int, quality: float | None) -> None:
        """Says what is coming, but for a fit that goes on."""
        from quinr_pl.commands.estimate import expected_seconds, told_time

        if not self.announces or any(folder.rglob("*.ckpt")):
            return
        spec = self._data.spec
        axes = " x ".join(map(str, reversed(spec.shape)))
        told = told_time(expected_seconds(settings, spec))
        about = "about " if self._size is None else ""
        rate = f"{8 * size / spec.pixels:.2f} {spec.kind.rate_unit}"
        line = f"{axes}, {about}{rate} = {size:,} bytes, "
        line += f"effort {self.ask.effort}: about {told}"
        print(line if quality is None else f"{line}, about {quality:.1f} dB", file=sys.stderr)

    def _fit(
        self, settings: Mapping[str, Any], folder: Path, title: str | None = None, earlier: int = 0
    ) -> FitResult:
        """A fit of the input, after some earlier ones."""
        from quinr_pl.callbacks import FitReport
        from quinr_pl.fitting import fit

        def tell(status: FitStatus) -> None:
            if self.tell is not None:
                self.tell(replace(status, share=(earlier + status.share) / (earlier + 1)))

        data = settings["data"]
        data = {**data, "init_args": {**data["init_args"], "path": str(self.path)}}
        # The input's own name may be as long as a name can be.
        names = {"name": "signal", "title": title or self.title}
        following = [] if self.after is None else [self.after]
        result = fit({**settings, "data": data}, folder, **names, callbacks=[*following, FitReport(tell)])
        tell(FitStatus(1.0, "fitted", result.psnr, result.bytes, result.bpp))
        return result

    def _steered(self, settings: dict[str, Any], folder: Path) -> FitResult:
        """A fit that moves its rate_weight, and others that aim elsewhere while it misses what is asked."""
        from quinr_pl.codec.rate_control import next_bias

        size = self._size
        small = size is not None and self._data.spec.pixels <= _SMALL_PIXELS
        patient = small or self.ask.chamfer is not None  # which PSNR, all that a fit knows, tells little of
        results: list[FitResult] = []
        aims: list[tuple[float, float]] = []
        bias = 0.0
        for number in range(MOST_TRIES):
            control = {"most_bytes": size, **self._aim(bias)}
            title = f"{self.title}, try {number + 1}" if number else self.title
            result = self._fit(with_rate_control(settings, control), folder / str(number), title, number)
            results.append(result)
            missed, tolerated = self._missed(result, size)
            if tolerated or self.ask.of_nothing:
                break
            if number + 1 >= STEERED_TRIES and not patient and self._good_enough(results, size):
                break
            if aims and missed / aims[-1][1] > _NEARER:
                break  # more of it would not help either
            aims.append((bias, missed))
            bias = next_bias(aims)
            weight = result.rate_weight * math.exp(min(max(missed, -1.0), 1.0))
            settings = with_network(settings, {"rate_weight": weight})
        return replace(self._best_of(results, size), encode_seconds=sum(r.encode_seconds for r in results))

    def _aim(self, bias: float) -> dict[str, float | None]:
        """The PSNR that a fit aims at, if any, and by how much it steers elsewhere; see `RateControl`."""
        if self.ask.chamfer is None:
            return {"psnr": self.ask.psnr, "bias": bias}
        assert self.ask.decibels is not None
        return {"psnr": max(self.ask.decibels + 10 / math.log(10) * bias, _LOWEST_AIM)}

    def _good_enough(self, results: list[FitResult], size: int | None) -> list[FitResult]:
        """Those that are small enough, or whose quality is high enough."""
        if size is not None:
            return [result for result in results if result.bytes <= size or self.ask.of_nothing]
        assert self.ask.decibels is not None
        return [result for result in results if self._reached(result) >= self.ask.decibels]

    def _best_of(self, results: list[FitResult], size: int | None) -> FitResult:
        """The one with the highest quality of those that are small enough, or the smallest good enough."""
        if size is None:
            return self._smallest_of(results)
        fitting = self._good_enough(results, size)
        if not fitting:
            raise OutOfReachError(self._too_few(size, min(result.bytes for result in results), fitted=True))
        return max(fitting, key=self._reached)

    def _missed(self, result: FitResult, size: int | None) -> tuple[float, bool]:
        """How far a file is above its size, or its quality, in ln of bytes or of the inverse error.

        Also whether that may be.
        """
        if size is not None:
            return math.log(result.bytes / size), (1 - _SIZE_TOLERANCE) * size <= result.bytes <= size
        wanted = self.ask.decibels
        assert wanted is not None
        above = min(self._reached(result), 200.0) - wanted
        tolerance = _PSNR_TOLERANCE if self.ask.chamfer is None else _CHAMFER_TOLERANCE
        return math.log(10) / 10 * above, 0 <= above <= tolerance

    def _reached(self, result: FitResult) -> float:
        """Quality of a file in dB, as it is asked for."""
        return self.ask.reached(result.psnr, result.chamfer)

    def _smallest_of(self, results: list[FitResult]) -> FitResult:
        """The smallest file that is good enough."""
        enough = self._good_enough(results, None)
        if not enough:
            best = max(results, key=self._reached)
            reached, remedy = f"{best.psnr:.2f} dB", "ask for less"
            if self.ask.chamfer is not None:
                reached, remedy = f"{best.chamfer:.3f} m", "ask for a larger distance"
            raise OutOfReachError(
                f"{self.ask}: the best of {len(results)} fits reached {reached}; {remedy}, or {_LONGER}"
            )
        return min(enough, key=lambda result: result.bytes)

    def _sized(self, planned: Mapping[str, Any], folder: Path) -> FitResult:
        """A fit of a network of coordinates that has the size asked for; for a quality a few of them."""
        self._require_sizes()
        size = self._size
        if size is None:
            return self._sized_to_quality(planned, folder)
        settings = self._of_size(planned, size)
        if not self.flags.configs:
            self._announce(settings, folder, size, None)
        result = self._fit(settings, folder)
        if result.bytes > size and not self.ask.of_nothing:
            raise OutOfReachError(
                f"{self.ask}: the smallest file of this network has {result.bytes} bytes, more than the "
                f"{size} asked for; ask for more, or leave out the flags that set its size"
            )
        return result

    def _require_sizes(self) -> None:
        """Refuses networks and quantizers whose size no flag of the command sets."""
        from quinr_pl.network import QuINR

        if not self.flags.configs:
            return
        network = network_class(self.settings)
        if network is not QuINR:
            raise QuinrError(
                f"{self.ask}: sets the size of QuINR and of networks with a rate_weight, and the config has "
                f"{network.__name__}; leave one of them out"
            )
        if trains_for_quantization(self.settings):
            raise QuinrError(
                f"{self.ask}: the training of WeightQuantization settles the size itself; leave one of "
                "them out"
            )

    def _of_size(self, planned: Mapping[str, Any], size: int) -> dict[str, Any]:
        """Settings with the network and the quantizer that an asked size needs."""
        from pytorch_lightning.cli import instantiate_class

        from quinr_pl.codec.rate_control import FEWEST_BYTES, network_for_bytes, rounding_for_bytes
        from quinr_pl.codec.rounding import as_options
        from quinr_pl.commands.plans import CONFIGS

        spec, own_bytes = self._data.spec, size - self._mask_bytes
        if own_bytes < FEWEST_BYTES:
            raise OutOfReachError(self._too_few(size, FEWEST_BYTES + self._mask_bytes))
        network = network_for_bytes(own_bytes, spec.channels, len(spec.shape))
        sized = {f"model.network.{name}": value for name, value in network.items()}
        settings = self._resolved(CONFIGS[COORDINATES], {**planned, **sized})
        if settings["quantization"] is None:
            # The user's flags may have made the network another one.
            weights = instantiate_class((), settings["model"]["network"]).parameter_count()
            settings["quantization"] = as_options(rounding_for_bytes(own_bytes, weights))
        return settings

    def _sized_to_quality(self, planned: Mapping[str, Any], folder: Path) -> FitResult:
        """The smallest of a few files that reaches the quality asked for: a whole fit for each try."""
        from quinr_pl.codec.rate_control import FEWEST_BYTES, bytes_for_psnr

        wanted, pixels = self.ask.decibels, self._data.spec.pixels
        assert wanted is not None
        fewest = FEWEST_BYTES + self._mask_bytes
        size = max(fewest, int(_USUAL_BPP * pixels / 8))
        most = max(fewest, int(_SIZED_MOST_BPP * pixels / 8), _SIZED_MOST_BYTES)
        results: list[FitResult] = []
        tried: list[int] = []
        while len(tried) < PSNR_TRIES and size not in tried:
            title, earlier = f"try {len(tried) + 1} of at most {PSNR_TRIES}", len(tried)
            tried.append(size)
            results.append(self._fit(self._of_size(planned, size), folder / str(earlier), title, earlier))
            if 0 <= self._reached(results[-1]) - wanted <= _SIZED_TOLERANCE:
                break
            # Aim at the middle of what is good enough.
            measured = [(result.bytes, min(self._reached(result), 200.0)) for result in results]
            size = max(fewest, min(bytes_for_psnr(measured, wanted + _SIZED_TOLERANCE / 2), most))
        return self._smallest_of(results)
