"""The table of all kinds of signal."""

from __future__ import annotations

from quinr_pl.registry import Registry
from quinr_pl.signals.kind import SignalKind

KINDS: Registry[int, SignalKind] = Registry(
    "signal kind",
    "quinr_pl.signal_kinds",
    {
        0: "quinr_pl.signals.image:IMAGE_8",
        1: "quinr_pl.signals.image:IMAGE_16",
        2: "quinr_pl.signals.range_image:RANGE_IMAGE",
        3: "quinr_pl.signals.array:ARRAY",
        4: "quinr_pl.signals.audio:AUDIO",
        5: "quinr_pl.signals.volume:VOLUME",
    },
)
"""Kinds by their code in files. Those of installed packages are entry points of ``quinr_pl.signal_kinds``."""


def all_kinds() -> list[SignalKind]:
    """This package's kinds, then those that are registered, then those of installed packages."""
    return [KINDS[code] for code in KINDS]


def figures_of_kinds() -> dict[str, tuple[str, str]]:
    """What any kind measures beyond the PSNR: the heading of each figure, and how it is printed."""
    return {name: shown for kind in all_kinds() for name, shown in kind.figures.items()}
