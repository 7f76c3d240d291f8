"""The targets of a fit as pictures at reduced resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from quinr_pl.ops.window import Shape, Window

_Memory = tuple[torch.device, torch.dtype, int, int, torch.Size, tuple[int, ...]]
_INTEGERS = {dtype.itemsize: dtype for dtype in (torch.int16, torch.int32, torch.int64)}
"""By their size in bytes."""
_BAND_PIXELS = 1 << 20


class Pictures:
    """Averages of the targets over blocks of pixels. Every step asks for the same ones: the last are kept.

    Args:
        height: Rows of the signal.
        width: Columns of the signal.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shape = height, width
        self._given = self._targets = torch.empty(0)
        self._memory: _Memory | None = None
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
        self._given, self._memory = targets, _memory(targets)
        if octave not in self._pictures:
            self._pictures[octave] = self._in_bands(targets, octave)
        return self._pictures[octave]

    def _are_kept(self, targets: Tensor) -> bool:
        if self._memory is not None and _memory(targets) == self._memory:
            return True
        integers = _INTEGERS[targets.element_size()]  # as integers, NaN equals itself
        return (
            self._targets.device == targets.device
            and self._targets.dtype == targets.dtype
            and torch.equal(self._targets.view(integers), targets.view(integers))
        )

    def part(self, targets: Tensor, octave: int, window: Window) -> tuple[Tensor, Tensor]:
        """Averages over the blocks of a window; at the full resolution they are not kept.

        Args:
            targets: (pixels, out_features) of the whole signal.
            octave: Binary logarithm of the pixels a side.
            window: Rows and columns of blocks.

        Returns:
            (out_features, rows, columns) twice, of the window's rows and columns.
        """
        if octave:
            picture, known = self(targets, octave)
            return window.of(picture), window.of(known)
        found = window.of(targets.T.unflatten(1, self._shape)).flatten(1).T
        return _averaged(found, octave, window.shape)

    def _in_bands(self, targets: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        """Averages of the whole signal, by bands of blocks: in between they take several times the memory."""
        columns = self._shape[1]
        band = max(1, _BAND_PIXELS // columns >> octave) << octave
        parts = [
            _averaged(part, octave, (len(part) // columns, columns)) for part in targets.split(band * columns)
        ]
        if len(parts) == 1:
            return parts[0]
        pictures, known = zip(*parts, strict=True)
        return torch.cat(pictures, 1), torch.cat(known, 1)


def _averaged(targets: Tensor, octave: int, shape: Shape) -> tuple[Tensor, Tensor]:
    unknown = targets.isnan()
    planes = torch.stack([targets.masked_fill(unknown, 0.0), (~unknown).to(targets)])
    planes = planes.transpose(1, 2).unflatten(2, shape)  # (2, out_features, rows, columns)
    if octave:
        planes = nn.functional.avg_pool2d(planes, 2**octave, ceil_mode=True, count_include_pad=False)
    picture, known = planes
    picture = picture / known.clamp_min(torch.finfo(known.dtype).tiny)
    return picture.contiguous(), known.contiguous()


def _memory(tensor: Tensor) -> _Memory | None:
    """Where a tensor lies, and how often it was changed; while it is held, equal for equal numbers."""
    if tensor.is_inference():  # changes of it are not counted
        return None
    place = tensor.data_ptr(), tensor._version, tensor.shape, tensor.stride()
    return tensor.device, tensor.dtype, *place
