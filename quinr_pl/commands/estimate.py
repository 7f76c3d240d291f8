"""What a fit will take and come to, told before it from a few steps and from JPEG 2000."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import instantiate_class
from pytorch_lightning.utilities.seed import isolate_rng

from quinr_pl.baselines.jpeg2000 import JPEG2000, inpaint
from quinr_pl.callbacks import BestStart
from quinr_pl.class_paths import find_class
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.quantizers import listed
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.native.threads import native_threads
from quinr_pl.network import Network
from quinr_pl.signals import SignalSpec, coordinates
from quinr_pl.signals.distortion import psnr

_MOST_PIXELS = 1 << 22
_BISECTIONS = 9
_BPP_RANGE = 0.01, 8.0
_OCTAVES = 0.4
_HONEST = 1.2  # a codestream that is so much larger than it was to be: JPEG 2000 cannot be so small
_OF_JPEG2000 = 0.7  # its errors are larger than a latent network's, and so is what a bit takes off them
_OF_JPEG2000_IN_MASK = 2.0  # scans gain by a λ that begins higher than it ends; see docs/research/steering.md
_USUAL_WEIGHT, _USUAL_BPP, _USUAL_EXPONENT = 6e-3, 0.1, 1.15
_FEWEST_STEPS, _MOST_STEPS, _TIMED_SECONDS = 2, 10, 0.4
_LIGHTNING_SECONDS = 1e-3  # of a step: what the loop does around it
_PASSES = 50  # through the network in the final rounding
_OF_WEIGHTS = 0.65  # passes more for each weight, in which the curvature is found
_CURVED_PIXELS = 1 << 19  # the most that such a pass looks at
_CODING_SECONDS = 2e-5  # for each pixel: entropy coding of validations and of the final file
_FURTHER_SECONDS = 3.0


@dataclass(frozen=True)
class Jpeg2000Curve:
    """What JPEG 2000 makes of a signal at any rate; of a large one, of its middle.

    Rates are those of what it says of the signal: the headers, most of a small file, do not count. Where
    some pixels have no value it codes others that continue their neighbours smoothly.

    Args:
        values: (*shape, channels).
        spec: Of the signal.
        valid: Of the shape, which pixels have a value where there is a mask; all of them when left out.
    """

    values: npt.NDArray
    spec: SignalSpec
    valid: npt.NDArray[np.bool_] | None = None

    @cached_property
    def usable(self) -> bool:
        """Whether its quality tells anything of a file's, which in a mask has other errors beside."""
        return self.spec.mask is None and self._codes

    @cached_property
    def _codes(self) -> bool:
        """Whether the signal has two axes or more, and OpenJPEG is there."""
        if len(self.spec.shape) < 2:
            return False
        try:
            return 0 < self.psnr(1.0) < math.inf
        except (QuinrError, OSError, ValueError, RuntimeError):  # glymur's own errors are OSErrors
            return False

    @cached_property
    def _middle(self) -> tuple[npt.NDArray, SignalSpec, npt.NDArray[np.bool_] | None]:
        values, valid = self.values, self.valid
        side = int(_MOST_PIXELS ** (1 / len(self.spec.shape)))
        parts = []
        for size in self.spec.shape:
            first = max(0, (size - side) // 2)
            parts.append(slice(first, first + side))
        values = np.ascontiguousarray(values[tuple(parts)])
        # What has no mask has to give every pixel.
        valid = None if valid is None or self.spec.mask is None else valid[tuple(parts)]
        if valid is not None and valid.any():
            values = inpaint(values, valid).astype(values.dtype)
        else:
            valid = None
        spec = self.spec
        spec = SignalSpec.of(spec.kind, values, (spec.low, spec.high), spec.attributes)
        return values, spec, valid

    @cached_property
    def _headers(self) -> float:
        """Bits for each pixel of a codestream that says nothing of the signal."""
        values, spec, _ = self._middle
        return 8 * len(JPEG2000(bits=16).encode(np.zeros_like(values), spec, 1.0)) / spec.pixels

    def point(self, bpp: float) -> tuple[float, float]:
        """Rate and PSNR of the codestream that aims at a rate."""
        values, spec, valid = self._middle
        codec = JPEG2000(bits=16)
        codestream = codec.encode(values, spec, bpp + self._headers)
        reached = psnr(values, codec.decode(codestream, spec), spec.peak, valid)
        return 8 * len(codestream) / spec.pixels - self._headers, reached

    def psnr(self, bpp: float) -> float:
        """PSNR at a rate."""
        return self.point(bpp)[1]

    def bpp(self, psnr: float) -> float:
        """The rate at which it reaches a PSNR, between 0.01 and 8 bits for each pixel."""
        low, high = _BPP_RANGE
        for _ in range(_BISECTIONS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.psnr(middle) < psnr else (low, middle)
        return math.sqrt(low * high)

    def rate_weight(self, bpp: float) -> float:
        """λ at which the fit of a file of a rate begins: about the slope of the error over the rate."""
        if not self._codes:
            return usual_rate_weight(bpp)
        low, high = self.point(bpp * 2**-_OCTAVES), self.point(bpp * 2**_OCTAVES)
        if high[0] > _HONEST * bpp * 2**_OCTAVES or not low[0] < high[0] or not low[1] < high[1] < math.inf:
            return usual_rate_weight(bpp)
        errors = [10 ** (-quality / 10) for _, quality in (low, high)]
        share = _OF_JPEG2000 if self.spec.mask is None else _OF_JPEG2000_IN_MASK
        return share * (errors[0] - errors[1]) / (high[0] - low[0])


def usual_rate_weight(bpp: float) -> float:
    """λ at which a latent network comes to a rate on a usual photograph."""
    return _USUAL_WEIGHT * (_USUAL_BPP / bpp) ** _USUAL_EXPONENT


def expected_seconds(settings: Mapping[str, Any], spec: SignalSpec) -> float:
    """Seconds of a fit, from a few steps of each of its stages on this machine.

    Args:
        settings: Of the fit.
        spec: Of the signal.
    """
    with isolate_rng(), native_threads():
        module = _module(settings, spec)
        network, optimizer = module.network, module.make_optimizer()
        batch = settings["data"]["init_args"].get("batch_size") or spec.pixels
        points = coordinates(spec.shape)[: min(batch, spec.pixels)]
        targets = torch.rand(len(points), spec.channels)

        def step(progress: float) -> None:
            network.begin_step(0, 0.0)
            optimizer.zero_grad()
            network.loss(points, targets, progress)[0].backward()
            optimizer.step()

        stages, done = [], 0.0
        for stage in network.training_stages():
            seconds = _mean_seconds(step, network.progress(done + stage.steps / 2))
            stages.append((stage.steps, seconds))
            done += stage.steps
        of_a_pass = _pass_seconds(network, spec)
    of_a_step = _LIGHTNING_SECONDS + sum(share * seconds for share, seconds in stages)
    steps = settings["trainer"]["max_steps"]
    of_steps = steps * of_a_step + _steps_of_starts(settings, steps) * stages[0][1]
    passes: float = _PASSES
    if network.rate_weight > 0:
        passes += _OF_WEIGHTS * network.parameter_count() * min(1.0, _CURVED_PIXELS / spec.pixels)
    return of_steps + passes * of_a_pass + _CODING_SECONDS * spec.pixels + _FURTHER_SECONDS


@torch.no_grad()
def _pass_seconds(network: Network, spec: SignalSpec) -> float:
    """Seconds in which a network gives the whole signal."""
    network.signal(0, 1, spec.shape)  # kernels may have to be compiled, once for the machine
    start = time.perf_counter()
    network.signal(0, spec.pixels, spec.shape)
    return time.perf_counter() - start


def _steps_of_starts(settings: Mapping[str, Any], total: int) -> int:
    """Steps that look for a start before the first one of a fit of so many steps."""
    looking = [
        BestStart(**callback["init_args"])
        for callback in listed(settings["trainer"]["callbacks"])
        if find_class(callback["class_path"], Callback, "--trainer.callbacks") is BestStart
    ]
    return sum(one.starts * one.steps_of_each(total) for one in looking)


def _module(settings: Mapping[str, Any], spec: SignalSpec) -> CoordinateNetworkModule:
    description = settings["model"]["network"]
    cls = find_class(description["class_path"], Network, "--model.network")
    arguments = {**description["init_args"], **cls.signal_arguments(spec)}
    network = instantiate_class((), {**description, "init_args": arguments})
    return CoordinateNetworkModule(**{**settings["model"], "network": network})


def _mean_seconds(step: Callable[[float], None], progress: float) -> float:
    """Of some steps at a share of the work, but for the first one, which compiles."""
    step(progress)
    start, taken = time.perf_counter(), 0
    while taken < _FEWEST_STEPS or (time.perf_counter() - start < _TIMED_SECONDS and taken < _MOST_STEPS):
        step(progress)
        taken += 1
    return (time.perf_counter() - start) / taken


def told_time(seconds: float) -> str:
    """A duration in the units that one would say it in."""
    seconds = max(1, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(5 * round(seconds / 5), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
