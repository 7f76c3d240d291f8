"""Whether the figures of a comparison are those of its files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from quinr_pl.errors import QuinrError
from quinr_pl.experiments.comparison import measure
from quinr_pl.experiments.sweep import Job, read_result


def verify(jobs: Sequence[Job], folder: Path, console: Console) -> int:
    """Decodes every file again and compares its figures with those that were reported."""
    checked = wrong = 0
    for job in jobs:
        result = read_result(job, folder)
        if result is None:
            console.print(f"missing {job}", highlight=False, markup=False)
            wrong += 1
            continue
        try:
            again = measure(job, folder / job.folder, result["file"])
        except (OSError, QuinrError) as error:
            console.print(f"WRONG {job}: {error}", highlight=False, markup=False)
            wrong += 1
            continue
        again.pop("decode_seconds")
        for key, value in again.items():
            if not math.isclose(value, result[key], rel_tol=1e-9, abs_tol=1e-9):
                console.print(f"WRONG {job}: {key} {result[key]}, now {value}", highlight=False, markup=False)
                wrong += 1
        checked += 1
    console.print(f"{checked} of {len(jobs)} files decoded again, {wrong} findings", highlight=False)
    return 1 if wrong else 0
