"""How a scanner has moved between two scans, found by the range images alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import Motion, MovedView, SignalSpec

Floats = npt.NDArray[np.float64]

_EVERY = 4  # columns: a registration of all of them is no nearer
_ROUNDS = 15
_FIRST_SCALE, _NARROWING = 2.0, 0.6  # in metres: what counts as near
_NEAR_BY = 0.3  # of two registrations the one that shows more so nearly is taken
_STEPS = np.array([2e-3] * 3 + [5e-2] * 3)  # of differences, in radians and metres
_ENOUGH = np.array([5e-5] * 3 + [3e-3] * 3)
_LARGEST = np.array([0.1] * 3 + [1.0] * 3)  # what does not show a scan at all would lead anywhere
_STEEPEST = np.array([100.0] * 3 + [5.0] * 3)  # slopes beyond are those at rims
_NEAR, _NOISE = 10.0, 0.02  # metres
_AHEAD = (0.0, 1.0, 2.0, 3.0)
"""How far a vehicle may have come, in metres, where the scan before does not tell."""


def found_motion(spec: SignalSpec, ranges: npt.NDArray) -> Motion:
    """The motion with which the frame before shows most of what a scan has.

    Things move, come into view and have rims, so that large differences of ranges count little (an
    M-estimator; Geman & McClure, "Bayesian image analysis", 1985), and less and less from step to step
    (graduated non-convexity; Blake & Zisserman, "Visual reconstruction", 1987). The steps are Gauss-Newton's.

    Args:
        spec: Of a frame that is told by another, with a scanner.
        ranges: (rows, columns) of the scan in metres, 0 where there is none.
    """
    assert spec.scanner is not None, "the spec is of a scan"
    assert spec.reference is not None, "that follows another"
    before = spec.values_before()[..., :1]
    wanted = ranges[:, ::_EVERY].astype(np.float64)
    valid = wanted > 0
    wanted = wanted[valid]
    unit = np.maximum(wanted / _NEAR, 1.0)  # far ranges are told less exactly
    view = MovedView(spec.scanner, spec.shape[1], _EVERY)

    def errors(numbers: Floats) -> Floats:
        seen, inside = view(before, numbers[:3], numbers[3:], spec.low, spec.high)
        return np.where(inside[valid], (wanted - seen[valid, 0]) / unit, np.nan)

    starts = [np.array([0, 0, 0, ahead, 0, 0]) for ahead in _AHEAD]
    if (motion := spec.reference.spec.motion) is not None:
        starts.append(np.concatenate([motion.radians, motion.metres]))
    tried = [_registered(errors, start) for start in starts]
    numbers = min([starts[0], *tried], key=lambda numbers: _mismatch(errors(numbers)))
    return Motion.nearest(numbers[:3], numbers[3:])


def _mismatch(errors: Floats) -> float:
    """How badly one scan shows another, 0 to 1."""
    known = errors[~np.isnan(errors)]
    return float(_outlying(known, _NEAR_BY).mean()) if known.size else 1.0


def _registered(errors: Callable[[Floats], Floats], numbers: Floats) -> Floats:
    """The six numbers after Gauss-Newton steps, in which less and less counts as near."""
    scale = _FIRST_SCALE
    for _ in range(_ROUNDS):
        step, median = _step(errors, numbers, scale)
        numbers = numbers + step
        least = max(_NOISE, 1.5 * median)
        if scale <= least and (np.abs(step) < _ENOUGH).all():
            break
        scale = max(_NARROWING * scale, least)
    return numbers


def _outlying(errors: Floats, scale: float) -> Floats:
    """How far errors are from what counts as near, 0 to 1: Geman & McClure's function."""
    found: Floats = errors**2 / (errors**2 + scale**2)
    return found


def _step(errors: Callable[[Floats], Floats], numbers: Floats, scale: float) -> tuple[Floats, float]:
    """A Gauss-Newton step of the six numbers, (6,), with slopes from differences; and the median error."""
    here = errors(numbers)
    slopes = np.stack([here - errors(numbers + step) for step in np.diag(_STEPS)], axis=1) / _STEPS
    kept = (np.abs(slopes) < _STEEPEST).all(axis=1)  # and shown by the frame before, from here and around
    if not kept.any():
        return np.zeros(6), 0.0
    here, slopes = here[kept], slopes[kept]
    weighed = slopes * (1 - _outlying(here, scale))[:, None] ** 2
    found = np.linalg.lstsq(weighed.T @ slopes, weighed.T @ here, rcond=1e-9)[0]
    return np.clip(found, -_LARGEST, _LARGEST), float(np.median(np.abs(here)))
