"""Bits of latents under models of other pictures: ``python -m benchmarks.shipped_context.folds FOLDER``.

The folder holds what `fits` left. Pictures fall into folds by their photograph; those of each fold are
counted with the model that is trained on all others. The file of figures, ``--json PATH``, grows form by
form, and what is in it is not trained again. Files of `compress` can be counted too, with a model that is
trained on all pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.shipped_context.models import COARSER, Form, Model, counted, trained_on
from benchmarks.shipped_context.sights import FileSights, file_sights
from quinr_pl.atomic_file import write_bytes

FORMS = {
    "as fitted": Form(12, 1, 1, 12),
    "one": Form(),
    "one, wide": Form(width=48),
    "by level": Form(by_level=True),
    "by level, narrow": Form(width=12, by_level=True),
    "by level and rate": Form(by_level=True, by_rate=True),
    "coarser": Form(coarser=6),
    "coarser, two layers": Form(coarser=6, layers=2),
    "by level, coarser, two layers": Form(coarser=6, layers=2, by_level=True),
}


def main() -> None:
    """Trains and counts what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_context.folds", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--passes", type=float, default=300)
    parser.add_argument("--files", type=Path, nargs="*", default=[], help=".quinr files to count too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = [read_file(path) for path in sorted(options.folder.glob("*.quinr"))]
    files = [read_file(path) for path in options.files]
    found: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    for name in options.forms:
        form, start = FORMS[name], time.perf_counter()
        if name not in found:
            found[name] = cross_counted(form, pictures, options.folds, options.passes)
            write_bytes(options.json, (json.dumps(found, indent=1) + "\n").encode())
        if files and f"{name}, files" not in found:
            found[f"{name}, files"] = _counted_with(form, pictures, files, options.passes)
            write_bytes(options.json, (json.dumps(found, indent=1) + "\n").encode())
        print(name, str(form), f"{time.perf_counter() - start:.0f} s", flush=True)
        for line in summary(found[name]):
            print("  ", line, flush=True)
        for line in summary(found.get(f"{name}, files", {}), each=True):
            print("  ", line, flush=True)


def read_file(path: Path) -> FileSights:
    """The latents of a file, all coarser grids seen."""
    return file_sights(path, COARSER)


def rate_of(picture: str) -> str:
    """The rate that a picture's name ends with."""
    return picture.rpartition("-")[2]


def cross_counted(form: Form, pictures: Sequence[FileSights], folds: int, passes: float) -> Mapping[str, Any]:
    """Levels of each picture, counted with a model of the photographs of other folds."""
    photographs = sorted({picture.name.rpartition("-")[0] for picture in pictures})
    fold = {name: index % folds for index, name in enumerate(photographs)}
    found: dict[str, Any] = {}
    for held in range(folds):
        known = [p for p in pictures if fold[p.name.rpartition("-")[0]] != held]
        left = [p for p in pictures if fold[p.name.rpartition("-")[0]] == held]
        found |= _counted_with(form, known, left, passes)
    return found


def _counted_with(
    form: Form, known: Sequence[FileSights], left: Sequence[FileSights], passes: float
) -> dict[str, Any]:
    """Levels of some pictures, counted with a model of others; where rates have their own, with the best."""
    if not form.by_rate:
        return _rows(trained_on(form, known, passes), left)
    rates = sorted({rate_of(picture.name) for picture in known}, key=float)
    models = {rate: trained_on(form, [p for p in known if rate_of(p.name) == rate], passes) for rate in rates}
    rows: dict[str, Any] = {}
    for picture in left:
        each = [_rows(models[rate], [picture])[picture.name] for rate in rates]
        rows[picture.name] = min(each, key=lambda row: sum(bits[2] for bits in row.values()))
    return rows


def _rows(models: Mapping[int, Model], left: Iterable[FileSights]) -> dict[str, Any]:
    """By file and level the bits with the file's own model, with the other one, and with that one shifted."""
    return {
        file.name: {
            str(level): [file.own_bits[level], *bits] for level, bits in counted(models, file).items()
        }
        for file in left
    }


def summary(rows: Mapping[str, Mapping[str, Sequence[float]]], each: bool = False) -> list[str]:
    """Changes of the latents' bits in %, by rate and level; or by picture."""
    lines = []
    groups = {name: [name] for name in rows} if each else {}
    if not each:
        for name in rows:
            groups.setdefault(rate_of(name), []).append(name)
    for group, names in groups.items():
        own, plain, shifted = (
            torch.tensor([sum(bits[place] for bits in rows[name].values()) for name in names])
            for place in range(3)
        )
        changes = 100 * (plain / own - 1), 100 * (shifted / own - 1)
        means = ", ".join(f"{float(change.mean()):+.2f}" for change in changes)
        worst = f"{float(changes[1].min()):+.1f} to {float(changes[1].max()):+.1f}"
        levels = []
        for level in sorted({level for name in names for level in rows[name]}):
            pairs = [rows[name][level] for name in names if level in rows[name]]
            total, other = sum(pair[0] for pair in pairs), sum(pair[2] for pair in pairs)
            part = total / sum(float(number) for number in own)
            levels.append(f"{level}: {100 * (other / total - 1):+.1f} of {100 * part:.0f}%")
        lines.append(f"{group}: {means} ({worst}); " + ", ".join(levels))
    return lines


if __name__ == "__main__":
    main()
