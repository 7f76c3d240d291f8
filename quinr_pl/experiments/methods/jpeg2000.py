"""JPEG 2000, with our mask before its codestream where asked for."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.jpeg2000 import JPEG2000, inpaint
from quinr_pl.codec.coding import mask as mask_coding
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.methods.method import Method, points_of_rates
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree
from quinr_pl.openjpeg import openjpeg_version
from quinr_pl.versions import versions

_MASK_SIZE = struct.Struct("<I")
_COST = 1e4  # of a second of encoding, beside fits


class JPEG2000Method(Method):
    """A codestream for each point, a number of bits for each pixel."""

    random = False

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        settings = description.get("settings", {})
        _encoder(settings)
        return points_of_rates(
            description["points"], {"kind": "jpeg2000", "settings": settings, "cost": _COST}
        )

    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """File of a job; see `Method`."""
        coder, masked = _encoder(job.settings["settings"])
        path, bpp = folder / f"{data.name}.j2k", job.settings["bpp"]
        if masked:
            if data.valid is None:
                raise QuinrError(f"method {job.method}: mask: {data.name} is no range image; leave it out")
            mask = mask_coding.write(data.valid)
            # No rate is left for the codestream where the mask alone takes more.
            rate = max(bpp - 8 * (_MASK_SIZE.size + len(mask)) / data.spec.pixels, 1e-3)
            stream = coder.encode(inpaint(data.values, data.valid), data.spec, rate)
            write_bytes(path, _MASK_SIZE.pack(len(mask)) + mask + stream)
        else:
            write_bytes(path, coder.encode(data.values, data.spec, bpp))
        return path, {"versions": {**versions("glymur"), "openjpeg": openjpeg_version()}}

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """Signal of a file; see `Method`."""
        coder, masked = _encoder(job.settings["settings"])
        if not masked:
            return coder.decode(encoded, data.spec)
        (size,) = _MASK_SIZE.unpack_from(encoded)
        start = _MASK_SIZE.size
        mask = mask_coding.read(encoded[start : start + size], data.spec.shape)
        return replace(data.spec, mask=mask).masked(coder.decode(encoded[start + size :], data.spec))


def _encoder(settings: Tree) -> tuple[JPEG2000, bool]:
    """The encoder of some settings, and whether our mask goes before its codestream."""
    further = dict(settings)
    masked = bool(further.pop("mask", False))
    return JPEG2000(**further), masked
