"""Fits with a context model of other pictures in the loop, and what they cost beside fits with their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from benchmarks.crops import GRIDS, HEIGHT, SHARE, WIDTH, Crop, network_for, train
from benchmarks.shipped_context.models import Model
from quinr_pl.network import LatentQuINR
from quinr_pl.network.latent.context_model import ContextModel

FROZEN = "context.hidden", "context.output"
"""What of a shipped model is frozen: all but the shifts of the grids' scales."""
_WEIGHTS, _WEIGHT_BITS = 201, 7.0
"""Of the fit's own context model in the file, and their bits; see docs/research/shipped-context.md."""


def fitted(
    crop: Crop, bpp: float, context: ContextModel, steps: int, frozen: Sequence[str] = FROZEN
) -> tuple[LatentQuINR, dict[str, float]]:
    """A fit with a context model in the loop from the first step.

    Args:
        crop: What is fitted.
        bpp: Bits for each pixel, about.
        context: The model, which is trained but for what is frozen.
        steps: Training steps.
        frozen: Beginnings of the names of parameters that stay.

    Returns:
        The network; its squared error, bits for each pixel of its latents, and λ.
    """
    rate_weight, width = crop.rate_weight(bpp), context.hidden.out_features
    network = network_for(bpp, rate_weight, crop.seed, neighbours=context.neighbours, context_width=width)
    network.context = context
    figures = train(network, crop, steps, frozen=frozen)
    return network, {**figures, "rate_weight": rate_weight}


def given(model: Model) -> ContextModel:
    """A network's context model with the weights of a trained one."""
    form = model.form
    context = ContextModel(GRIDS, form.neighbours, form.width)
    with torch.no_grad():
        context.hidden.weight.copy_(model.hidden[0].weight)
        context.hidden.bias.copy_(model.hidden[0].bias)
        context.output.weight.copy_(model.output.weight)
        context.output.bias.copy_(model.output.bias)
        context.grid.bias.copy_(model.shifts[:GRIDS])
    return context


def summary(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Costs beside those of fits with their own models, in % of the bits' part of them."""
    lines = []
    for key, row in found.items():
        form, _, name = key.partition(", ")
        own = found[f"own, {name}"]
        if form != "own":
            unit = _WEIGHT_BITS * SHARE / (HEIGHT * WIDTH)
            bits = own["bpp"] + _WEIGHTS * unit
            latents = (_cost(row) - _cost(own)) / own["rate_weight"] / bits
            whole = latents - (_WEIGHTS - GRIDS) * unit / bits
            gain = -10 * math.log10(row["mse"] / own["mse"])
            lines.append(
                f"{name}, {form}: {100 * latents:+.2f} %, {100 * whole:+.2f} % with weights; "
                f"bits of latents {100 * (row['bpp'] / own['bpp'] - 1):+.1f} %, {gain:+.2f} dB"
            )
    return lines


def _cost(row: Mapping[str, float]) -> float:
    """Squared error and λ times the bits for each pixel of latents."""
    return row["mse"] + row["rate_weight"] * row["bpp"]
