"""Intra frames of HEVC as an anchor of `benchmarks.compress_table`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks import hevc


def box(kind: bytes, payload: bytes, wide: bool = False) -> bytes:
    if wide:
        return (1).to_bytes(4) + kind + (16 + len(payload)).to_bytes(8) + payload
    return (8 + len(payload)).to_bytes(4) + kind + payload


@pytest.mark.parametrize("wide", [False, True])
def test_media_data_alone_are_counted(wide):
    first, second = box(b"mdat", bytes(70), wide), box(b"mdat", b"abc")
    assert hevc.coded_bytes(box(b"ftyp", b"heic") + first + box(b"free", b"mdat") + second) == 73


def test_a_box_of_no_size_reaches_to_the_end():
    assert hevc.coded_bytes(box(b"ftyp", b"heic") + bytes(4) + b"mdat" + bytes(11)) == 11


def test_a_curve_rises_and_counts_what_pillow_writes(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    rows, columns = np.mgrid[:96, :128]
    waves = np.sin(rows / 9)[..., None] * np.cos(columns / [[[5.0]], [[7.0]], [[11.0]]]).transpose(1, 2, 0)
    path = tmp_path / "waves.png"
    Image.fromarray((127 + 120 * waves).astype(np.uint8)).save(path)
    points = hevc.curve(path)
    assert len(points) > 10
    assert (np.diff(points, axis=0) > 0).all()
    file = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(file, "HEIF", quality=hevc.QUALITIES[-1], chroma="444")
    assert 0 < hevc.coded_bytes(file.getvalue()) < len(file.getvalue())
