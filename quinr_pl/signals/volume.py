"""Volumes: values over three axes, as scanners of bodies and of materials give them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.fields import Choice, Field, Numbers
from quinr_pl.optional_package import optional_package
from quinr_pl.signals.drawing import Picture, of_colours, side_by_side
from quinr_pl.signals.interval import interval_of
from quinr_pl.signals.kind import Attributes, FileContent, SignalKind
from quinr_pl.suffixes import suffix_of

AXES = ("depth", "height", "width")
_NIFTI = (".nii.gz", ".nii")
_TYPES = (
    "int16",
    "uint8",
    "int8",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "float16",
)
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_LARGEST_NIFTI_1 = 32767
_FROM_FILE = (2, 1, 0, 3)
"""NIfTI's axes x, y, z as ours, the slowest first; it is its own inverse."""


@dataclass(frozen=True)
class Volume(SignalKind):
    """Numbers of any type, and where their voxels lie.

    The affine has the first three rows of the matrix that takes NIfTI's indices (x, y, z, 1) to a place.
    """

    FIELDS: ClassVar[Mapping[str, Field]] = {
        "value_type": Choice(_TYPES, "int16"),
        "affine": Numbers(_IDENTITY),
    }

    def value_type(self, attributes: Attributes) -> np.dtype:
        """See SignalKind: that of the original."""
        return np.dtype(str(attributes["value_type"]))

    def read(self, path: Path) -> FileContent:
        """See SignalKind: NIfTI, by nibabel; stored with a scale it gives float32.

        Raises:
            QuinrError: If the file is malformed or no volume of numbers, or nibabel is missing.
        """
        nibabel = optional_package("nibabel", str(path))
        try:
            image = nibabel.load(path)
            plain = (image.dataobj.slope, image.dataobj.inter) == (1.0, 0.0)
            values = np.asanyarray(image.dataobj)
        except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
            reason = str(error).split("\n")[0]
            raise QuinrError(f"{path}: cut or no NIfTI file that nibabel reads ({reason})") from error
        if not plain:
            values = values.astype(np.float32)
        if values.ndim == 3:
            values = values[..., None]
        if values.ndim != 4:
            raise QuinrError(f"{path}: shape {values.shape}; needs three axes, or four, the last of channels")
        affine = np.float32(image.affine[:3]).ravel()
        known = {"affine": tuple(affine.tolist())} if np.isfinite(affine).all() else {}
        return volume_content(values.transpose(_FROM_FILE), path, known)

    def usual_suffix(self, attributes: Attributes) -> str:
        """See SignalKind: NIfTI for what came from there, as its affine tells."""
        return ".npy" if attributes["affine"] == _IDENTITY else self.suffixes[0]

    def write(self, values: npt.NDArray, path: Path, attributes: Attributes) -> None:
        """See SignalKind: as ``.npy``, or as NIfTI with the affine; half precision becomes single there."""
        if suffix_of(path).lower() not in _NIFTI:
            super().write(values, path, attributes)
            return
        nibabel: Any = optional_package("nibabel", str(path))
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        values = values.transpose(_FROM_FILE)
        image = nibabel.Nifti1Image if max(values.shape) <= _LARGEST_NIFTI_1 else nibabel.Nifti2Image
        affine = np.vstack([np.reshape(attributes["affine"], (3, 4)), [0, 0, 0, 1]])
        stored = values[..., 0] if values.shape[-1] == 1 else values
        nibabel.save(image(stored, affine, dtype=values.dtype), path)

    def draw(self, targets: npt.NDArray) -> Picture:
        """See SignalKind: the middle slices across each axis, in gray."""
        return side_by_side(
            [of_colours(slice_[..., None].repeat(3, -1)) for slice_ in _middle(targets[..., 0])]
        )

    def draw_error(self, error: npt.NDArray) -> Picture:
        """See SignalKind: in the middle slices."""
        draw = super().draw_error
        return side_by_side([draw(shares) for shares in _middle(error)])


def volume_content(values: npt.NDArray, path: Path, attributes: Attributes | None = None) -> FileContent:
    """Values of a volume as a signal's.

    Args:
        values: (depth, height, width, channels), in any order of bytes and axes.
        path: Their file, for messages.
        attributes: Those that are known.

    Raises:
        QuinrError: If they are no finite integers or real numbers of a type that files know.
    """
    dtype = values.dtype.newbyteorder("=")
    if dtype.name not in _TYPES:
        raise QuinrError(f"{path}: elements of type {dtype}; a volume has one of {', '.join(_TYPES)}")
    if values.size == 0:
        raise QuinrError(f"{path}: shape {values.shape} holds no element; there is nothing to compress")
    values = np.ascontiguousarray(values, dtype)
    return FileContent(
        values, interval_of(values, path, dtype), {"value_type": dtype.name, **(attributes or {})}
    )


def _middle(values: npt.NDArray) -> list[npt.NDArray]:
    """The middle slices of (depth, height, width) across each axis."""
    return [np.take(values, values.shape[axis] // 2, axis) for axis in range(3)]


VOLUME = Volume(
    5,
    "volume",
    AXES,
    "int16",
    (-32768.0, 32767.0),
    suffixes=(*_NIFTI, ".npy"),
    read_suffixes=_NIFTI,
    unit="voxel",
    signatures=((344, b"n+1\0", ".nii"), (4, b"n+2\0", ".nii"), (0, b"\x1f\x8b", ".nii.gz")),
)
