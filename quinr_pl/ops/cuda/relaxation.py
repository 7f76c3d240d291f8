"""Noise and soft rounding for CUDA; see relaxation.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_void_p

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.noise import KEY_STEP, MULTIPLIER, ROUNDS, UNIFORM_BITS
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_GRIDS, THREADS, Constants, blocks_of, check_grids, ints, kernel


class _Grid(Structure):
    """As in relaxation.cu."""

    _fields_ = (("latents", c_void_p), ("first", c_int), ("last", c_int), ("last_pair", c_int))


def relaxed(keep: bool, *grids: Tensor, key: Tensor, settings: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.relaxation.relaxed and Operation.run."""
    check_readable("relaxation", *grids, settings, device=settings.device.type)
    check_shapes("relaxation", [key, settings], [(2,), (len(grids), 2)])
    check_grids("relaxation", grids)
    given = [grid.contiguous() for grid in grids]
    places = (_Grid * MOST_GRIDS)()
    latents = pairs = 0
    for place, grid in zip(places, given, strict=False):
        place.latents, place.first = grid.data_ptr(), latents
        latents += grid.numel()
        pairs += -(-grid.numel() // 2)
        place.last, place.last_pair = latents, pairs
    together = settings.new_empty(latents)
    slopes = torch.empty_like(together) if keep else None
    constants: Constants = {
        "ROUNDS": ROUNDS,
        "MULTIPLIER": f"{MULTIPLIER}u",
        "KEY_STEP": f"{KEY_STEP}u",
        "UNIFORM_BITS": UNIFORM_BITS,
    }
    run = kernel("relax", "relaxation", settings, constants)
    run(blocks_of(pairs), THREADS, places, *ints(pairs), key, settings.contiguous(), together, slopes)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        assert slopes is not None
        parts = (cotangent * slopes).split([grid.numel() for grid in grids])
        return [part.view(grid.shape) for part, grid in zip(parts, grids, strict=True)]

    return together, gradients
