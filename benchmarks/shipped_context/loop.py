"""Fits with a model of other pictures in the loop: ``python -m benchmarks.shipped_context.loop FOLDER``.

The folder holds what `fits` left. Crops are fitted with their own context model, and with one that is
trained on the latents of all other photographs: frozen but for the shifts of the grids' scales. Steps, seeds
and λ are the same. What is in the file of figures, ``--json PATH``, is not fitted again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.shipped_context.crops import GRIDS, HEIGHT, SHARE, WIDTH, Crop, network_for, train
from benchmarks.shipped_context.folds import FORMS, read_file
from benchmarks.shipped_context.models import Model, trained_on
from quinr_pl.atomic_file import write_bytes
from quinr_pl.native.memory import keep_freed_memory
from quinr_pl.native.threads import native_threads
from quinr_pl.network import LatentQuINR
from quinr_pl.network.latent.context_model import ContextModel

FROZEN = "context.hidden", "context.output"
"""What of a shipped model is frozen: all but the shifts of the grids' scales."""
_WEIGHTS, _WEIGHT_BITS = 201, 7.0
"""Of the fit's own context model in the file, and their bits; see docs/research/shipped-context.md."""


def main() -> None:
    """Fits what is missing, and tells of the costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_context.loop", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+", help="the fold")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1])
    parser.add_argument(
        "--forms", nargs="+", default=["one"], help="of models, of one hidden layer that all levels share"
    )
    parser.add_argument("--steps", type=int, default=420)
    parser.add_argument("--passes", type=float, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    held = {path.stem for path in options.photographs}
    paths = [
        path for path in sorted(options.folder.glob("*.quinr")) if path.stem.rpartition("-")[0] not in held
    ]
    pictures = [read_file(path) for path in paths]
    models = {form: trained_on(FORMS[form], pictures, options.passes)[0] for form in options.forms}
    found: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    with native_threads(count=1):
        for path in options.photographs:
            crop = Crop.of(path)
            for bpp in options.bpp:
                name = f"{crop.name}-{bpp:g}"
                found[f"own, {name}"] = json.loads((options.folder / f"{name}.json").read_text())
                for form, model in models.items():
                    if f"{form}, {name}" not in found:
                        found[f"{form}, {name}"] = fitted(crop, bpp, given(model), options.steps)[1]
                        write_bytes(options.json, (json.dumps(found, indent=1) + "\n").encode())
                    print(summary(found)[-1], flush=True)


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


if __name__ == "__main__":
    main()
