"""A model of other pictures, round after round: ``python -m benchmarks.shipped_context.rounds``.

The folder holds what `fits` left, of which the model of round 1 is trained. Each later model is trained on
the latents of fits that had the one before in the loop, whose files lie in ``FOLDER/round N``. Photographs
that are held out, ``--held NAMES``, are fitted with every model, by which figures are named:

- ``round N``: frozen but for the shifts of the grids' scales;
- ``tuned N``, ``output N``: all of it, or its output layer, is trained on from there; with ``--tuned N``;
- ``own again``: that of the photograph's own fit, frozen, to tell what freezing a model costs; and
  ``own anew``: the same with other first weights, to tell what a model owes to those of its fit.

What is in the file of figures, ``--json PATH``, is not fitted again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.crops import Crop
from benchmarks.shipped_context.folds import FORMS, read_file
from benchmarks.shipped_context.loop import FROZEN, fitted, given, summary
from benchmarks.shipped_context.models import trained_on
from benchmarks.shipped_context.sights import file_sights
from quinr_pl.atomic_file import write_bytes
from quinr_pl.codec import Nearest, compress
from quinr_pl.codec.coding.latents import FRACTION_BITS, IntegerContext
from quinr_pl.native.memory import keep_freed_memory
from quinr_pl.native.threads import native_threads
from quinr_pl.network.latent.context_model import ContextModel

TUNED: Mapping[str, Sequence[str]] = {"tuned": (), "output": ("context.hidden",)}
"""What stays frozen where a shipped model is a start."""


def main() -> None:
    """Fits what is missing, and tells of the costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_context.rounds", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+", help="all of them")
    parser.add_argument("--held", nargs="+", required=True, help="names of those that are held out")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuned", type=int, help="the round whose model is trained on in fits, too")
    parser.add_argument("--bpp", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=420)
    parser.add_argument("--passes", type=float, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    crops = [Crop.of(path) for path in options.photographs]
    if unknown := {*options.held} - {crop.name for crop in crops}:
        parser.error(f"--held {', '.join(sorted(unknown))}: no photograph of that name is given")
    held = [crop for crop in crops if crop.name in options.held]
    known = [crop for crop in crops if crop.name not in options.held]
    results = Results(options.json, options.folder, options.bpp, options.steps)
    with native_threads(count=1):
        for number, context in _rounds(known, results, options.rounds, options.passes):
            results.fit(f"round {number}", held, context)
            if number == options.tuned:
                for name, frozen in TUNED.items():
                    results.fit(f"{name} {number}", held, context, frozen)
        for form, draw in (("own again", 0), ("own anew", 1)):
            for crop in held:
                own = file_sights(options.folder / f"{crop.name}-{options.bpp:g}.quinr").context
                results.fit(form, [replace(crop, draw=draw)], context_of(own))


class Results:
    """The file of figures.

    Args:
        path: The file.
        folder: What `fits` left.
        bpp: Bits for each pixel of all fits, about.
        steps: Of each fit.
    """

    def __init__(self, path: Path, folder: Path, bpp: float, steps: int) -> None:
        self.path, self.folder, self.bpp, self.steps = path, folder, bpp, steps
        self.found: dict[str, Mapping[str, float]] = json.loads(path.read_text()) if path.exists() else {}

    def fit(
        self, form: str, crops: Sequence[Crop], context: ContextModel, frozen: Sequence[str] = FROZEN
    ) -> None:
        """Fits crops with a model, unless their figures are known, and tells of their costs."""
        for crop in crops:
            name = f"{crop.name}-{self.bpp:g}"
            self.found.setdefault(f"own, {name}", json.loads((self.folder / f"{name}.json").read_text()))
            if (key := f"{form}, {name}") not in self.found:
                network, figures = fitted(crop, self.bpp, deepcopy(context), self.steps, frozen)
                figures["moved"] = moved(context, network.context)
                self.found[key] = figures
                write_bytes(self.path, (json.dumps(self.found, indent=1) + "\n").encode())
            pair = {known: self.found[known] for known in (f"own, {name}", key)}
            print(*summary(pair), flush=True)


def _rounds(
    crops: Sequence[Crop], results: Results, count: int, passes: float
) -> Iterator[tuple[int, ContextModel]]:
    """The model of each round."""
    folder, name = results.folder, "{}" + f"-{results.bpp:g}.quinr"
    context: ContextModel | None = None
    for number in range(1, count + 1):
        if context is not None:
            folder = results.folder / f"round {number}"
            folder.mkdir(exist_ok=True)
            for crop in crops:
                if not (path := folder / name.format(crop.name)).exists():
                    network, _ = fitted(crop, results.bpp, deepcopy(context), results.steps)
                    write_bytes(path, compress(network, crop.spec, Nearest(bits=12)).data)
        files = [read_file(folder / name.format(crop.name)) for crop in crops]
        context = given(trained_on(FORMS["one"], files, passes)[0])
        yield number, context


def context_of(integers: IntegerContext) -> ContextModel:
    """A network's context model with the weights of a file's."""
    width, inputs = integers.hidden_weight.shape
    context = ContextModel(len(integers.grid_bias), inputs - 1, width)
    names = {
        "hidden.weight": integers.hidden_weight,
        "hidden.bias": integers.hidden_bias,
        "output.weight": integers.output_weight,
        "output.bias": integers.output_bias,
        "grid.bias": integers.grid_bias,
    }
    unit = 1 << FRACTION_BITS
    context.load_state_dict({name: torch.from_numpy(part).float() / unit for name, part in names.items()})
    return context


@torch.no_grad()
def moved(start: ContextModel, end: ContextModel) -> float:
    """How far the weights of both layers went, as a share of their length at the start."""
    before, after = (
        torch.cat(
            [part.flatten() for layer in (context.hidden, context.output) for part in layer.parameters()]
        )
        for context in (start, end)
    )
    return float((after - before).norm() / before.norm())


if __name__ == "__main__":
    main()
