"""Noise and soft rounding in place of rounding, for the training of latents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Relaxation:
    """How training stands in for rounding.

    Noise between two soft roundings, as in C3 (Kim et al., "C3: High-performance and low-complexity neural
    compression from a single image or video", 2024), while the soft rounding hardens; the noise is normal
    and the schedule is that of Cool-Chic 5 (Orange, github.com/Orange-OpenSource/Cool-Chic).

    Args:
        temperature: Of the soft rounding: towards zero it becomes rounding.
        spread: Standard deviation of the noise.
    """

    temperature: float
    spread: float

    @classmethod
    def at(cls, progress: float) -> Relaxation:
        """The relaxation at a share of the training."""
        return cls(0.35 - 0.27 * progress, 0.22 - 0.07 * progress)
