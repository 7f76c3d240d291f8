"""Latents of files with the context models of others: ``python -m benchmarks.shipped_context.crossed FILES``.

A row tells by how many % the bits of a file rise with the model of each other one, and without context. Each
level's scales are shifted by the best of 17 steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.shipped_context.sights import FileSights, file_sights

_SHIFTS = np.arange(-8, 9) / 8
_NO_CONTEXT = np.arange(-20, 13) / 4


def main() -> None:
    """Prints a row for each file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_context.crossed", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = [file_sights(path) for path in options.files]
    for file in files:
        changes = [_change(file, _with_model_of(file, other)) for other in files if other is not file]
        changes.append(_change(file, _without_context(file)))
        print(f"{file.name}: {file.total / 8:,.0f} bytes;", *(f"{change:+.1f}" for change in changes))


def _change(file: FileSights, bits: float) -> float:
    return 100 * (bits / file.total - 1)


def _with_model_of(file: FileSights, other: FileSights) -> float:
    """Bits of a file's latents with the model of another one."""
    each = [file.bits_with(other.context, shift) for shift in _SHIFTS]
    return sum(min(bits[level] for bits in each) for level in file.levels)


def _without_context(file: FileSights) -> float:
    """Bits of a file's latents with one distribution for each level."""
    total = 0.0
    for sights in file.levels.values():
        mean = torch.zeros_like(sights.values)
        total += min(float(sights.bits(mean, mean + scale).sum()) for scale in _NO_CONTEXT)
    return total


if __name__ == "__main__":
    main()
