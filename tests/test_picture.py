from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from quinr_pl.datamodules import picture
from quinr_pl.datamodules.picture import picture_channels, read_picture, write_png
from quinr_pl.errors import QuinrError

GENERATOR = np.random.default_rng(0)


def random_pixels(channels: int, dtype: type = np.uint8, height: int = 5, width: int = 7) -> np.ndarray:
    return GENERATOR.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def unfiltered_png(pixels: np.ndarray) -> bytes:
    """A PNG without row filters, written from the specification."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + big_endian[row].tobytes() for row in range(height))

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_round_trip(tmp_path, channels, dtype):
    pixels = random_pixels(channels, dtype)
    write_png(pixels, tmp_path / "a.png")
    if (channels, dtype) == (2, np.uint16):
        with pytest.raises(QuinrError, match="keeps 8 of its 16 bits"):
            read_picture(tmp_path / "a.png")
        return
    read = read_picture(tmp_path / "a.png")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)
    assert picture_channels(tmp_path / "a.png") == channels


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reads_png_made_by_hand(tmp_path, channels, dtype):
    pixels = random_pixels(channels, dtype, height=1, width=1)
    (tmp_path / "a.png").write_bytes(unfiltered_png(pixels))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_written_8_bit_png_is_read_by_pillow(tmp_path, channels):
    pixels = random_pixels(channels)
    write_png(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("band_bytes", [1, 50, 1000])
def test_png_of_many_bands_is_read_by_pillow(tmp_path, monkeypatch, band_bytes):
    monkeypatch.setattr(picture, "_BAND_BYTES", band_bytes)
    pixels = random_pixels(3, height=41, width=7)
    write_png(pixels, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    deep = random_pixels(1, np.uint16, height=41, width=7)
    write_png(deep, tmp_path / "b.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), deep[:, :, 0])


def test_interlaced_16_bit_colour_equals_its_plain_form(tmp_path):
    # One pixel is its own interlaced form, so the header's flag alone changes.
    pixels = random_pixels(3, np.uint16, 1, 1)
    png = bytearray(unfiltered_png(pixels))
    png[28] = 1
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    (tmp_path / "a.png").write_bytes(png)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize(
    ("mode", "name", "channels"),
    [
        ("1", "a.png", 1),
        ("L", "a.pgm", 1),
        ("P", "a.png", 3),
        ("P", "a.gif", 3),
        ("RGB", "a.bmp", 3),
        ("RGB", "a.tif", 3),
        ("RGB", "a.webp", 3),
        ("CMYK", "a.tif", 3),
        ("CMYK", "a.jpg", 3),
        ("YCbCr", "a.tif", 3),
        ("RGBA", "a.webp", 4),
        ("LA", "a.png", 2),
        ("I;16", "a.png", 1),
        ("I;16", "a.tif", 1),
    ],
)
def test_modes(tmp_path, mode, name, channels):
    picture = (
        Image.fromarray(random_pixels(1, np.uint16)[..., 0])
        if mode == "I;16"
        else Image.fromarray(random_pixels(4)[..., : 4 if mode == "RGBA" else 3]).convert(mode)
    )
    options = {"lossless": True} if name.endswith("webp") else {}
    picture.save(tmp_path / name, **options)
    read = read_picture(tmp_path / name)
    assert read.shape == (5, 7, channels)
    assert read.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    assert picture_channels(tmp_path / name) == channels
    with Image.open(tmp_path / name) as again:
        expected = np.asarray(again.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
        if mode == "I;16":
            expected = np.asarray(picture)
        np.testing.assert_array_equal(read, expected.reshape(read.shape))


def test_transparent_palette_gets_alpha(tmp_path):
    picture = Image.fromarray(random_pixels(3)).convert("P")
    picture.save(tmp_path / "a.png", transparency=0)
    read = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(read[..., 3] == 0, np.asarray(picture) == 0)


def test_orientation_is_left_as_stored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random_pixels(3)).save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").shape == (5, 7, 3)


def bad_files() -> dict[str, bytes]:
    good = io.BytesIO()
    Image.fromarray(random_pixels(3, height=64, width=64)).save(good, "PNG")
    bomb = bytearray(unfiltered_png(random_pixels(1, height=1, width=1)))
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    flipped = bytearray(good.getvalue())
    flipped[200] ^= 255
    large = io.BytesIO()
    Image.fromarray(np.full((2, 2), 70000, np.int32)).save(large, "TIFF")
    frames = io.BytesIO()
    two = [Image.fromarray(random_pixels(3)) for _ in range(2)]
    two[0].save(frames, "GIF", save_all=True, append_images=two[1:])
    deep_tiff_header = b"P6\n1 1\n65535\n" + bytes(6)
    return {
        "empty": b"",
        "text": b"certainly no picture\n",
        "cut in half": good.getvalue()[: len(good.getvalue()) // 2],
        "cut in the header": good.getvalue()[:20],
        "flipped byte": bytes(flipped),
        "decompression bomb": bytes(bomb),
        "32-bit values": large.getvalue(),
        "two frames": frames.getvalue(),
        "16-bit colour PPM": deep_tiff_header,
        "real numbers": b"Pf\n1 1\n-1.0\n" + struct.pack("<f", 0.5),
    }


@pytest.mark.parametrize("case", bad_files())
def test_bad_files_give_one_line(tmp_path, case):
    path = tmp_path / "photo.png"
    path.write_bytes(bad_files()[case])
    with pytest.raises(QuinrError, match=r"photo\.png") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(QuinrError, match="no such file"):
        read_picture(tmp_path / "absent.png")
