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
    },
)
"""Kinds by their code in files. Those of installed packages are entry points of ``quinr_pl.signal_kinds``."""
