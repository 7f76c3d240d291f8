from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from quinr_pl.baselines.pillow import PillowCodec
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.signals import image_spec
from quinr_pl.signals.distortion import psnr


@pytest.fixture(scope="module")
def photograph():
    data = SampleDataModule("coffee", longer_side=200)
    data.setup()
    return data


@pytest.mark.parametrize(("name", "magic"), [("webp", (8, b"WEBP")), ("avif", (4, b"ftypavif"))])
def test_most_quality_for_the_bits(photograph, name, magic):
    codec, spec = PillowCodec(name), photograph.spec
    small, large = (codec.encode(photograph.values, spec, bpp) for bpp in (0.6, 1.2))
    start, expected = magic
    assert small[start : start + len(expected)] == expected
    assert 0.5 < 8 * len(small) / spec.pixels <= 0.6
    assert 1.0 < 8 * len(large) / spec.pixels <= 1.2
    qualities = [psnr(photograph.values, codec.decode(data, spec), 255) for data in (small, large)]
    assert 25 < qualities[0] < qualities[1] - 1
    with Image.open(io.BytesIO(small)) as picture:
        np.testing.assert_array_equal(codec.decode(small, spec), np.asarray(picture))


def test_smallest_file_where_none_fits(photograph):
    data = PillowCodec("webp").encode(photograph.values, photograph.spec, 1e-3)
    assert data == PillowCodec("webp").encode(photograph.values, photograph.spec, 1e-6)


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_gray(name):
    ramp = np.linspace(0, 255, 48 * 64).reshape(48, 64, 1).astype(np.uint8)
    codec, spec = PillowCodec(name), image_spec(ramp)
    decoded = codec.decode(codec.encode(ramp, spec, 8.0), spec)
    assert decoded.shape == ramp.shape
    assert psnr(ramp, decoded, 255) > 30


@pytest.mark.parametrize("values", [np.zeros((8, 8, 3), np.uint16), np.zeros((8, 8, 4), np.uint8)])
def test_refuses_other_pixels(values):
    with pytest.raises(QuinrError, match="8-bit images in gray or RGB"):
        PillowCodec("webp").encode(values, image_spec(values), 1.0)


def test_refuses_other_formats_and_sizes():
    with pytest.raises(QuinrError, match="webp, avif"):
        PillowCodec("gif")
    wide = np.zeros((1, 20000, 3), np.uint8)
    with pytest.raises(QuinrError, match="20000 x 1"):
        PillowCodec("webp").encode(wide, image_spec(wide), 1.0)
