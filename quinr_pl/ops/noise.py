"""Normal noise as a function of a key and a place: the same on all devices and with any number of threads.

Philox2x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), then the transform of Box
and Muller (1958). quinr_pl.native.noise is the same for kernels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from quinr_pl.native.noise import KEY_STEP, MULTIPLIER, ROUNDS, UNIFORM_BITS

_WORD = 0xFFFFFFFF


def draw_key(device: torch.device) -> Tensor:
    """A new key from the seeded generator of a device: two words of 32 bits, (2,), int64."""
    return torch.randint(1 << 32, (2,), device=device)


def grid_key(key: Tensor, index: int) -> Tensor:
    """The key of one of several grids of latents."""
    return torch.stack([key[0], (key[1] + index) & _WORD])


def normal_noise(key: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Numbers of the standard normal distribution.

    Args:
        key: (2,), int64: the key of the generator, and the second word of its counter. The first word counts
            pairs of numbers in the order of memory.
        shape: Of what is returned.
        dtype: Likewise.
    """
    pairs = -(-shape.numel() // 2)
    words = philox((torch.arange(pairs, device=key.device), key[1].expand(pairs)), key[0])
    first, second = (word >> (32 - UNIFORM_BITS) for word in words)
    unit = 2.0**-UNIFORM_BITS
    radius = torch.sqrt(-2 * torch.log((first + 1).to(dtype) * unit))
    turn = second.to(dtype) * (2 * math.pi * unit)
    pair = torch.stack([radius * torch.cos(turn), radius * torch.sin(turn)], -1)
    return pair.flatten()[: shape.numel()].view(shape)


def philox(counter: tuple[Tensor, Tensor], key: Tensor) -> tuple[Tensor, Tensor]:
    """Two random words for each counter, which is two words, and a key; all in int64."""
    left, right = counter
    for number in range(ROUNDS):
        # The product of two words may fill the sign bit, which the shift then spreads: masked away.
        product = left * MULTIPLIER
        high, low = (product >> 32) & _WORD, product & _WORD
        left, right = high ^ ((key + number * KEY_STEP) & _WORD) ^ right, low
    return left, right
