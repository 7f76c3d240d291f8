"""Measurements of a known distribution: how often each basis state comes up."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from quinr_pl.fields import Integer

SHOTS = Integer(1, 2**24)
"""Measurements of a circuit: as many as float32 counts one by one."""
SEED = Integer(0, 2**63 - 1)
"""Of random numbers."""


def generator_of(seed: int, call: int, device: torch.device) -> torch.Generator:
    """The random numbers of one call of an engine.

    A count of calls, unlike a generator, belongs to no device and is copied with the engine.

    Args:
        seed: The engine's.
        call: How many calls came before.
        device: Where numbers are drawn.
    """
    (drawn,) = np.random.SeedSequence((seed, call)).generate_state(1)
    return torch.Generator(device).manual_seed(int(drawn))


def frequencies(probabilities: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Shares of the shots in which each state comes up, multinomial: (batch, states) -> (batch, states).

    State after state draws its share of the shots that the states before have left, so that the cost does
    not grow with the shots.

    Args:
        probabilities: float32 or float64; each row adds up to 1, to rounding.
        shots: Measurements of each row.
        generator: Of the probabilities' device.
    """
    probabilities = probabilities.double().clamp_min(0)
    rest = probabilities.flip(1).cumsum(1).flip(1)  # of a state and all after it
    shares = probabilities / rest.clamp_min(torch.finfo(rest.dtype).tiny)  # of the last possible state: 1
    counts = torch.empty_like(probabilities)
    left = probabilities.new_full((len(probabilities),), float(shots))
    for state, share in enumerate(shares.unbind(1)):
        counts[:, state] = torch.binomial(left, share, generator=generator)
        left = left - counts[:, state]
    return counts / shots
