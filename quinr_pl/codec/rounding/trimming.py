"""A quantized network's file brought to an asked size or quality by single steps of its latents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding.latent_prices import LatentPrices
from quinr_pl.codec.coding.latents import LARGEST_LATENT
from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.rounding.protocol import Progress
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_MOST_ROUNDS = 8
_LARGEST_CHANGE = 0.04  # of what is asked for in one round: slopes hold near where they were taken
_ON_THE_WAY = 0.5  # times the largest change: a round that comes so much nearer does not count
_PROBES = 4
_GRIDS = 3
"""The finest ones, which hold nearly all bits: a step on a coarser one moves too much for slopes to tell."""
_BISECTIONS = 14
_CHECKS = 3  # of what steps do, each by one forward pass
_PRICES = 64.0
"""Prices of a bit are looked for up to so many times the usual one, and down to its inverse."""
_FEWEST_CANDIDATES = 1 << 15  # in each grid, up or down; of large signals as many for each pixel
_PIXELS_OF_A_CANDIDATE = 32
_PAYING = 0.995  # a round in which error or bits stay above so much of what they were is the last one
_CLOSE = 0.997
"""Where the search for a size is content, as a share of it."""
_PSNR_TOLERANCE = 0.03
_BAND_PIXELS = 1 << 19


def decoded_error(quantized: QuantizedNetwork, spec: SignalSpec, targets: Tensor) -> float:
    """Mean squared error of what is decoded from a quantized network, in units of targets.

    Args:
        quantized: Network and levels.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
    """
    return _Trim(spec, targets, quantized).error(quantized)


def trimmed_to_size(
    quantized: QuantizedNetwork, spec: SignalSpec, targets: Tensor, most_bytes: int, progress: Progress
) -> QuantizedNetwork:
    """Move latents to neighbours until a file has at most so many bytes, where that costs least.

    The slope of the error in each latent comes from one backward pass, its curvature in each grid from random
    steps; what a step changes in the bits of the latent and of those around it is counted. At a price of a
    bit each latent takes a step where error plus priced bits then fall, and what the best ones change in the
    error is measured before they are taken; the price is what is searched for. This is rate-distortion
    optimized quantization (RDOQ) with a target. A file that is smaller than asked for gets steps that lower
    its error, and at the size asked for bits move to where they lower it more.

    Args:
        quantized: Network and levels; weights stay.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
        most_bytes: Size of the whole file.
        progress: Told how far it is.

    Returns:
        The network of the least error found in a file of that size; of the smallest file found if none is
        small enough.
    """
    return _trimmed(quantized, spec, targets, 8 * most_bytes, _CLOSE, True, progress)


def trimmed_to_psnr(
    quantized: QuantizedNetwork, spec: SignalSpec, targets: Tensor, least_psnr: float, progress: Progress
) -> QuantizedNetwork:
    """Move latents to neighbours until decoded values are just as good as asked for; see trimmed_to_size.

    Args:
        quantized: Network and levels; weights stay.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
        least_psnr: In dB.
        progress: Told how far it is.

    Returns:
        The network of the smallest file found that is good enough; of the last one if none is.
    """
    error = 10 ** (-least_psnr / 10)
    return _trimmed(quantized, spec, targets, error, 10 ** (-_PSNR_TOLERANCE / 10), False, progress)


def _trimmed(
    quantized: QuantizedNetwork,
    spec: SignalSpec,
    targets: Tensor,
    most: float,
    close: float,
    of_size: bool,
    progress: Progress,
) -> QuantizedNetwork:
    """The network whose file has most of what it may have of one thing, and the least of the other.

    Args:
        quantized: See trimmed_to_size, as for the next two.
        spec: Of the signal.
        targets: Of the signal.
        most: Bits of the file, or mean squared error.
        close: The share of it from which on the other one alone counts.
        of_size: Whether it is bits.
        progress: Told how far it is.
    """
    if quantized.network.context_model() is None:
        return quantized
    trim, current = _Trim(spec, targets, quantized), quantized
    middle = aim = most * (1 + close) / 2
    fitting: list[tuple[float, QuantizedNetwork]] = []
    least, expected, nearer, number = math.inf, math.nan, -math.inf, 0
    while True:
        figures = 8.0 * len(encode(current, spec).data), trim.error(current)
        reached, cost = figures if of_size else figures[::-1]
        if math.isfinite(expected):
            # What several steps change together is not the sum of what each changes.
            aim = middle - (reached - expected)
        if reached <= most:
            fitting.append((cost, current))
        if close * most <= reached <= most:
            if cost > _PAYING * least:
                break
            least = min(cost, least)
        if abs(middle - reached) >= nearer:  # what is far takes as many rounds as lead there
            number += 1
        if number > _MOST_ROUNDS:
            break
        progress("trimming", number - 1, _MOST_ROUNDS)
        largest = _LARGEST_CHANGE * reached
        change = min(max(aim - reached, -largest), largest)
        far = abs(change) == largest
        expected = math.nan if far else reached + change
        nearer = abs(middle - reached) - _ON_THE_WAY * largest if far else -math.inf
        steps = trim.steps(current)
        steps = trim.measured(current, steps, steps.price_of(change, of_size))
        moves = steps.chosen(steps.price_of(change, of_size))
        if not len(moves):
            break
        current = steps.taken(current, moves)
    return min(fitting, key=lambda found: found[0])[1] if fitting else current


@dataclass(frozen=True)
class _Steps:
    """What single steps of latents change; arrays of one element for each step, at most two for a latent.

    Args:
        shapes: Of the grids, the finest first.
        grids: Index of the step's grid.
        rows: Of the latent.
        columns: Of the latent.
        signs: 1 or -1.
        errors: Change of the mean squared error.
        bits: Change of the bits.
        usual_price: λ, error for each bit, at which the network was trained.
    """

    shapes: list[tuple[int, ...]]
    grids: Integers
    rows: Integers
    columns: Integers
    signs: Integers
    errors: Floats
    bits: Floats
    usual_price: float

    def chosen(self, price: float) -> Integers:
        """Steps that lower error plus priced bits, the best first, apart from each other.

        Changes of overlapping latents do not add up: each keeps those around it, on all grids, as they are.
        """
        costs = self.errors + price * self.bits
        order = np.argsort(costs)
        order = order[: np.searchsorted(costs[order], 0.0)]
        taken = np.zeros([side << 1 for side in self.shapes[0]], dtype=bool)
        chosen = []
        for step in order:
            scale, row, column = self.grids[step], self.rows[step], self.columns[step]
            around = taken[
                max(row - 1, 0) << scale : (row + 2) << scale,
                max(column - 1, 0) << scale : (column + 2) << scale,
            ]  # which `measured` sums over
            if not around.any():
                around[:] = True
                chosen.append(step)
        return np.array(chosen, dtype=np.int64)

    def price_of(self, change: float, of_bits: bool) -> float:
        """The lowest price of a bit at which the chosen steps change the bits, or the error, by so much.

        Args:
            change: Of the sum over the chosen steps: bits at most, which fall as the price rises; the error
                at least.
            of_bits: Whether it is one of bits.
        """
        low, high = self.usual_price / _PRICES, self.usual_price * _PRICES
        for _ in range(_BISECTIONS):
            middle = math.sqrt(low * high)
            moves = self.chosen(middle)
            above = self.bits[moves].sum() > change if of_bits else self.errors[moves].sum() < change
            low, high = (middle, high) if above else (low, middle)
        return high

    def around(self, steps: Integers, values: Floats) -> Floats:
        """Sum of the values of pixels, (rows, columns), around each step: where ``chosen`` takes no other."""
        sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        finest = round(math.log2(max(v / s for v, s in zip(values.shape, self.shapes[0], strict=True))))
        scales = self.grids[steps] + finest

        def bounds(places: Integers, size: int) -> tuple[Integers, Integers]:
            return np.maximum(places - 1, 0) << scales, np.minimum((places + 2) << scales, size)

        top, bottom = bounds(self.rows[steps], values.shape[0])
        left, right = bounds(self.columns[steps], values.shape[1])
        return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]

    def taken(self, quantized: QuantizedNetwork, steps: Integers) -> QuantizedNetwork:
        """The network after some of the steps."""
        integers = {}
        for index, (name, levels) in enumerate(quantized.integers.items()):
            mine = steps[self.grids[steps] == index]
            moved = levels.copy()
            moved[self.rows[mine], self.columns[mine]] += self.signs[mine]
            integers[name] = np.clip(moved, -LARGEST_LATENT, LARGEST_LATENT)
        return replace(quantized, integers=integers)


class _Trim:
    """The decoder's error at some latents, and what single steps of them change."""

    def __init__(self, spec: SignalSpec, targets: Tensor, quantized: QuantizedNetwork) -> None:
        self._spec, self._targets = spec, targets
        self._network = fast_copy(quantized.network).to("cpu").eval()

    def error(self, quantized: QuantizedNetwork) -> float:
        """Mean squared error of decoded values, in units of targets."""
        return float(self._errors(quantized).sum(dtype=np.float64))

    @torch.no_grad()
    def _errors(self, quantized: QuantizedNetwork) -> npt.NDArray[np.float32]:
        """Share of each pixel in the mean squared error, (rows, columns)."""
        quantized.load_into(self._network)
        parts = []
        for start, stop in self._bands():
            decoded = self._spec.denormalize(self._network.signal(start, stop, self._spec.shape).numpy())
            values = torch.from_numpy(self._spec.normalize(decoded))
            parts.append((values - self._targets[start:stop]).square().nansum(1).numpy())
        errors: npt.NDArray[np.float32] = np.concatenate(parts).reshape(-1, self._spec.shape[-1])
        errors /= self._targets.numel()
        return errors

    def measured(self, quantized: QuantizedNetwork, steps: _Steps, price: float) -> _Steps:
        """The steps that look best at a price, and what each of them really changes in the error.

        Slopes flatter some steps, and those are the ones that look best. Chosen steps lie apart, so that the
        network after all of them at once shows what each one does. All others are left out.
        """
        before, known = self._errors(quantized), np.zeros(len(steps.bits), dtype=bool)
        for _ in range(_CHECKS):
            moves = steps.chosen(price)
            if known[moves].all():
                break
            change = self._errors(steps.taken(quantized, moves)).astype(np.float64) - before
            errors = steps.errors.copy()
            errors[moves] = steps.around(moves, change)
            known[moves] = True
            steps = replace(steps, errors=errors)
        return replace(steps, errors=np.where(known, steps.errors, np.inf))

    def _bands(self) -> Iterator[tuple[int, int]]:
        """First and one past the last pixel of bands of whole rows: no more is in memory at a time."""
        row = self._spec.shape[-1]
        size = row * max(1, _BAND_PIXELS // row)
        for start in range(0, self._spec.pixels, size):
            yield start, min(start + size, self._spec.pixels)

    def steps(self, quantized: QuantizedNetwork) -> _Steps:
        """Steps of latents that are not zero, and those from zero that lower the error."""
        quantized.load_into(self._network)
        slopes, curvatures = self._derivatives()
        price = self._network.rate_weight / self._spec.pixels
        prices = LatentPrices(list(quantized.integers.values()), integer_context(quantized))
        parts: list[tuple[npt.NDArray, ...]] = []
        for index, levels in enumerate(list(quantized.integers.values())[:_GRIDS]):
            for sign in (1, -1):
                errors = sign * slopes[index] + curvatures[index] / 2
                places = _candidates(levels, errors, self._spec.pixels)
                rows, columns = np.divmod(places, levels.shape[1])
                signs = np.full(len(places), sign)
                bits = prices.changes(index, rows, columns, signs)
                parts.append((np.full(len(places), index), rows, columns, signs, errors[rows, columns], bits))
        shapes = [levels.shape for levels in quantized.integers.values()]
        grids, rows, columns, signs, errors, bits = (np.concatenate(a) for a in zip(*parts, strict=True))
        return _Steps(shapes, grids, rows, columns, signs, errors, bits, price)

    def _derivatives(self) -> tuple[list[Floats], list[Floats]]:
        """Slope and curvature of the error in each integer.

        The curvature is the diagonal of the Gauss-Newton matrix, by an estimator like Hutchinson's (Bekas et
        al. 2007, "An estimator for the diagonal of a matrix"), averaged over neighbours.
        """
        parameters = list(self._network.integers().values())
        generator = torch.Generator().manual_seed(0)
        slopes, *products = [[torch.zeros_like(p) for p in parameters] for _ in range(1 + _PROBES)]
        for start, stop in self._bands():
            targets = self._targets[start:stop]
            with torch.enable_grad():
                values = self._network.signal(start, stop, self._spec.shape)
                errors = torch.where(targets.isnan(), 0.0, values.clamp(0, 1) - targets)
            weights = [2 * errors.detach() / self._targets.numel()]
            for _ in products:
                weights.append(torch.randint(0, 2, errors.shape, generator=generator).to(errors) * 2 - 1)
            for number, (sums, weight) in enumerate(zip([slopes, *products], weights, strict=True)):
                found = torch.autograd.grad(errors, parameters, weight, retain_graph=number < _PROBES)
                for total, part in zip(sums, found, strict=True):
                    total += part
        pool = partial(avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
        curvatures = []
        for of_grid in zip(*products, strict=True):
            square = sum(product.square() for product in of_grid)
            curvatures.append(2 / (_PROBES * self._targets.numel()) * pool(square[None])[0])
        return [_array(slope) for slope in slopes], [_array(curvature) for curvature in curvatures]


def _array(values: Tensor) -> Floats:
    return values.numpy().astype(np.float64)


def _candidates(levels: npt.NDArray[np.signedinteger], errors: Floats, pixels: int) -> Integers:
    """Places of latents whose step may pay: those whose error rises least."""
    places = np.flatnonzero((levels != 0) | (errors < 0))
    most = max(_FEWEST_CANDIDATES, pixels // _PIXELS_OF_A_CANDIDATE)
    if len(places) > most:
        cheapest = np.argpartition(errors.reshape(-1)[places], most)[:most]
        places = np.sort(places[cheapest])
    return places
