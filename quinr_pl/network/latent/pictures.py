"""The targets of a fit as pictures at reduced resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_INTEGERS = {dtype.itemsize: dtype for dtype in (torch.int16, torch.int32, torch.int64)}
"""By their size in bytes."""


class Pictures:
    """Averages of the targets over blocks of pixels. Every step asks for the same ones: the last are kept.

    Args:
        height: Rows of the signal.
        width: Columns of the signal.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shape = height, width
        self._targets = torch.empty(0)
        self._pictures: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, targets: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        """Averages over blocks of ``2**octave`` pixels a side.

        Args:
            targets: (pixels, out_features); NaN where any value will do.
            octave: Binary logarithm of the pixels a side.

        Returns:
            (out_features, rows, columns) twice: averages of what is known, and the share of a block that is.
        """
        if not self._are_kept(targets):
            self._targets, self._pictures = targets.clone(), {}
        if octave not in self._pictures:
            self._pictures[octave] = self._averaged(targets, octave)
        return self._pictures[octave]

    def _are_kept(self, targets: Tensor) -> bool:
        integers = _INTEGERS[targets.element_size()]  # as integers, NaN equals itself
        return (
            self._targets.device == targets.device
            and self._targets.dtype == targets.dtype
            and torch.equal(self._targets.view(integers), targets.view(integers))
        )

    def _averaged(self, targets: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        unknown = targets.isnan()
        planes = torch.stack([targets.masked_fill(unknown, 0.0), (~unknown).to(targets)])
        planes = planes.transpose(1, 2).unflatten(2, self._shape)  # (2, out_features, rows, columns)
        if octave:
            planes = nn.functional.avg_pool2d(planes, 2**octave, ceil_mode=True, count_include_pad=False)
        picture, known = planes
        return picture / known.clamp_min(torch.finfo(known.dtype).tiny), known
