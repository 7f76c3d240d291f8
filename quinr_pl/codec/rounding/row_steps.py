"""Step sizes of rows of weights from the curvature of what their errors cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.quantized import (
    FIXED_POINT_CODES,
    STEP_SIZES,
    STEPS_PER_OCTAVE,
    rows_of,
    smallest_code,
)
from quinr_pl.codec.rounding.flattening import unflattened
from quinr_pl.codec.sections.weights import ROW_UNIT
from quinr_pl.network.base import layers

_ROW_BITS = 2.0
_NO_CURVATURE = 1e-12


def codes_of_curvature(
    values: Mapping[str, Tensor], curvature: Floats, offset: float = 0.0, unit: int = 1
) -> dict[str, Integers]:
    """Step size codes with which each row has the same mean error, but for the grid of its layer.

    Args:
        values: Weights by name.
        curvature: Of the error in each of them, (weights,).
        offset: Added to codes that are those of the inverse root of the curvature, 0 standing for 1.
        unit: All codes are multiples of it, a divisor or a multiple of ROW_UNIT.

    Returns:
        Codes of each tensor's rows, which may lie outside of what a file holds.
    """
    by_tensor = unflattened(curvature, values)
    apart = max(ROW_UNIT, unit)
    codes: dict[str, Integers] = {}
    for names in layers(values).values():
        ideal = {name: _ideal_codes(values[name], by_tensor[name]) + offset for name in names}
        base = np.median(np.concatenate(list(ideal.values())))
        for name in names:
            offsets = np.rint((ideal[name] - base) / apart).astype(np.int64)
            codes[name] = unit * round(base / unit) + apart * offsets
    return codes


def _ideal_codes(values: Tensor, curvature: Floats) -> Floats:
    """Real-valued codes of a tensor's rows: all the same where rows of their own would not pay."""
    rows = rows_of(tuple(values.shape))
    by_row = curvature.reshape(rows, -1).mean(axis=1) + _NO_CURVATURE
    size = values.numpy().astype(np.float64).reshape(rows, -1)
    # With equal errors, bits are those of the levels' spread.
    one_step = np.log2(np.sqrt(np.mean(size**2) * by_row.mean()) + 1e-30)
    own_steps = np.log2(np.sqrt(np.mean(size**2 * by_row[:, None])) + 1e-30)
    if size.size * (one_step - own_steps) < _ROW_BITS * rows:
        by_row = np.full(rows, by_row.mean())
    return STEPS_PER_OCTAVE * np.log2(by_row) / -2


def steps_of_weights(codes: Mapping[str, Integers], values: Mapping[str, Tensor]) -> Floats:
    """The step size of every weight, (weights,), of the codes of the rows."""
    return np.concatenate(
        [np.repeat(STEP_SIZES[rows], values[name].numel() // len(rows)) for name, rows in codes.items()]
    )


def codes_of_file(
    values: Mapping[str, Tensor], codes: Mapping[str, Integers], unit: int
) -> dict[str, Integers]:
    """Codes that a file holds, in place of those of ``codes_of_curvature`` that are too small or too large.

    Args:
        values: Weights by name; no level of theirs may be too large.
        codes: Of each tensor's rows.
        unit: As of ``codes_of_curvature``; of a layer that decoders run in integers an octave.
    """
    finest, coarsest = (1, len(STEP_SIZES) - 1) if unit == 1 else FIXED_POINT_CODES
    apart = max(ROW_UNIT, unit)
    result = {}
    for name, rows in codes.items():
        least = np.maximum(_least_codes(values[name], len(rows)), finest)
        moved = rows + apart * np.maximum(0, -((rows - least) // apart))
        result[name] = moved - apart * np.maximum(0, -((coarsest - moved) // apart))
    return result


def relative_steps(codes: Mapping[str, Integers], values: Mapping[str, Tensor]) -> Floats:
    """Ratios of the step sizes of all weights, (weights,), of codes that need not be those of a file."""
    parts = [np.repeat(rows, values[name].numel() // len(rows)) for name, rows in codes.items()]
    relative = np.concatenate(parts)
    return np.exp2((relative - relative.mean()) / STEPS_PER_OCTAVE)


def codes_missing(values: Tensor, codes: Integers) -> int:
    """How much coarser a tensor's steps must be for its levels to have a place in the file."""
    return max(0, int((_least_codes(values, len(codes)) - codes).max()))


def _least_codes(values: Tensor, rows: int) -> Integers:
    """Codes of the smallest step size of each row with which no level is above LARGEST_LEVEL, (rows,)."""
    largest = values.abs().reshape(rows, -1).amax(dim=1).numpy().astype(np.float64)
    return np.array([smallest_code(size / LARGEST_LEVEL) for size in largest])
