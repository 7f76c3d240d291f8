"""What every record of a GPU names, and how it is kept."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch

from quinr_pl.atomic_file import write_bytes


def card() -> dict[str, str]:
    """The GPU and what drives it."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "multiprocessors": str(properties.multi_processor_count),
        "cuda": str(torch.version.cuda),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def keep(path: Path | None, figures: Any) -> None:
    """Writes figures as JSON, where a path is given."""
    if path is not None:
        write_bytes(path, (json.dumps(figures, indent=1) + "\n").encode())
