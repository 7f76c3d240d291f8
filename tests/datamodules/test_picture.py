from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.errors import QuinrError
from quinr_pl.openjpeg import glymur
from quinr_pl.signals import png
from quinr_pl.signals.png import write_png

GENERATOR = np.random.default_rng(0)


def random_pixels(channels: int, dtype: type = np.uint8, height: int = 5, width: int = 7) -> np.ndarray:
    return GENERATOR.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of_rows(
    rows: list[bytes], width: int, bits: int, colour: int, further: bytes = b"", last: bytes = b""
) -> bytes:
    """A PNG without row filters, written from the specification."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + further + chunk(b"IDAT", pixels) + last + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def unfiltered_png(pixels: np.ndarray, further: bytes = b"", last: bytes = b"") -> bytes:
    bits = 8 * pixels.dtype.itemsize
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    rows = [row.tobytes() for row in pixels.astype(pixels.dtype.newbyteorder(">"))]
    return png_of_rows(rows, pixels.shape[1], bits, colour, further, last)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_round_trip(tmp_path, channels, dtype):
    pixels = random_pixels(channels, dtype)
    write_png(pixels, tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
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
    monkeypatch.setattr(png, "_BAND_BYTES", band_bytes)
    pixels = random_pixels(3, height=41, width=7)
    write_png(pixels, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    deep = random_pixels(1, np.uint16, height=41, width=7)
    write_png(deep, tmp_path / "b.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), deep[:, :, 0])


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
"""First row, first column, and steps of rows and columns of each pass (PNG specification, section 8.2)."""


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_interlaced_16_bit_picture(tmp_path, channels):
    pixels = random_pixels(channels, np.uint16, 11, 13)
    passes = [pixels[row::down, column::right] for row, column, down, right in ADAM7]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes for row in part)
    header = struct.pack(">IIBBBBB", 13, 11, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
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


# How the stored rows and columns of each orientation lie when upright (Exif 2.3, tag 274).
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: np.fliplr(stored),
    3: lambda stored: np.rot90(stored, 2),
    4: lambda stored: np.flipud(stored),
    5: lambda stored: np.rot90(np.fliplr(stored)),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.fliplr(stored), -1),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "deflated.tif", "a.jpg"])
def test_orientation_is_applied_once(tmp_path, name, orientation):
    stored = random_pixels(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"a.webp": {"lossless": True}, "deflated.tif": {"compression": "tiff_adobe_deflate"}}
    Image.fromarray(stored).save(tmp_path / name, exif=exif, **options.get(name, {}))
    if name == "a.jpg":  # which does not keep the pixels
        stored = np.asarray(Image.open(tmp_path / name))
    np.testing.assert_array_equal(read_picture(tmp_path / name), UPRIGHT[orientation](stored))


def test_orientation_after_the_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = random_pixels(3, np.uint16)
    png = unfiltered_png(stored, last=chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    (tmp_path / "a.png").write_bytes(png)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.rot90(stored, -1))


def test_broken_metadata_do_not_stop_the_pixels(tmp_path, capsys):
    pixels = random_pixels(3)
    (tmp_path / "a.png").write_bytes(unfiltered_png(pixels, chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_gray_level_of_each_depth(tmp_path, bits):
    white = 2**bits - 1
    levels = np.arange(32, dtype=np.uint64).reshape(4, 8) * 2477 % (white + 1)
    transparent = int(levels[1, 2])
    bit_rows = (levels[:, :, None] >> np.arange(bits)[::-1].astype(np.uint64)) & 1
    rows = [np.packbits(row.astype(np.uint8).ravel()).tobytes() for row in bit_rows]
    png = png_of_rows(rows, 8, bits, 0, chunk(b"tRNS", struct.pack(">H", transparent)))
    (tmp_path / "a.png").write_bytes(png)
    read = read_picture(tmp_path / "a.png")
    top = 65535 if bits == 16 else 255
    np.testing.assert_array_equal(read[..., 0], levels * (top // white))
    np.testing.assert_array_equal(read[..., 1], np.where(levels == transparent, 0, top))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_colour(tmp_path, dtype):
    pixels = random_pixels(3, dtype)
    pixels[0, 0] = pixels[3, 4]
    pixels[1, 1] = pixels[3, 4] ^ np.array([0, 0, 1], dtype)  # one level beside it
    colour = chunk(b"tRNS", struct.pack(">HHH", *pixels[3, 4].tolist()))
    (tmp_path / "a.png").write_bytes(unfiltered_png(pixels, colour))
    read = read_picture(tmp_path / "a.png")
    expected = np.full((5, 7), np.iinfo(dtype).max)
    expected[0, 0] = expected[3, 4] = 0
    assert read.dtype == dtype
    np.testing.assert_array_equal(read[..., :3], pixels)
    np.testing.assert_array_equal(read[..., 3], expected)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_palette_with_levels_of_transparency(tmp_path, bits):
    palette = GENERATOR.integers(0, 256, (4, 3), dtype=np.uint8)
    index = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    bit_rows = ((index[:, :, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)
    rows = [np.packbits(row.ravel()).tobytes() for row in bit_rows]
    tables = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", bytes([0, 100, 200]))
    (tmp_path / "a.png").write_bytes(png_of_rows(rows, 4, bits, 3, tables))
    expected = np.concatenate([palette, [[0], [100], [200], [255]]], axis=1)[index]
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff(tmp_path, channels, order, compression):
    pixels = random_pixels(channels, np.uint16)
    alpha = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels[..., 0] if channels == 1 else pixels,
        photometric="minisblack" if channels == 1 else "rgb",
        byteorder=order,
        compression=compression,
        rowsperstrip=2,
        **alpha,
    )
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_whose_white_is_0(tmp_path, dtype):
    pixels = random_pixels(1, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), np.iinfo(dtype).max - pixels)


def test_16_bit_tiff_with_alpha_multiplied_in(tmp_path):
    colour, alpha = random_pixels(3, np.uint16), random_pixels(1, np.uint16) | np.uint16(0x8000)
    multiplied = np.rint(colour * (alpha / 65535)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.concatenate([multiplied, alpha], axis=2),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    read = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(read[..., 3:], alpha)
    # Half a step of the product is a whole step of the colour at half the alpha.
    assert np.abs(read[..., :3].astype(int) - colour).max() <= 1


@pytest.mark.parametrize("bits", [4, 8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["a.jp2", "a.j2k"])
def test_jpeg_2000_of_each_depth(tmp_path, bits, channels, name):
    dtype = np.uint16 if bits > 8 else np.uint8
    samples = GENERATOR.integers(0, 2**bits, (16, 17, channels))
    samples[0, :2] = [[0], [2**bits - 1]]
    # The codec subtracts half of the range, and glymur writes whole bytes alone: shift the samples to lie
    # about the middle of those, and then say in the headers that they have fewer bits.
    shifted = (samples - 2 ** (bits - 1) + (2**15 if bits > 8 else 2**7)).astype(dtype)
    path = tmp_path / name
    glymur().Jp2k(path, data=shifted if channels > 1 else shifted[..., 0], mct=False, numres=1)
    file = bytearray(path.read_bytes())
    start = file.index(b"\xff\x4f\xff\x51") + 42
    file[start : start + 3 * channels : 3] = bytes([bits - 1]) * channels
    if name == "a.jp2":
        file[file.index(b"ihdr") + 14] = bits - 1
    path.write_bytes(file)
    read = read_picture(path)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, np.rint(samples * (np.iinfo(dtype).max / (2**bits - 1))))


@pytest.mark.parametrize(("maxval", "top"), [(101, 255), (255, 255), (1023, 65535), (65535, 65535)])
@pytest.mark.parametrize("channels", [1, 3])
def test_portable_maps_of_any_maximum(tmp_path, maxval, top, channels):
    samples = GENERATOR.integers(0, maxval + 1, (3, 4, channels))
    samples[0, :2] = [[0], [maxval]]
    data = samples.astype(">u2" if maxval > 255 else "u1").tobytes()
    (tmp_path / "a.ppm").write_bytes(b"P%d 4 3 %d\n" % (6 if channels == 3 else 5, maxval) + data)
    read = read_picture(tmp_path / "a.ppm")
    assert read.dtype == (np.uint16 if top == 65535 else np.uint8)
    np.testing.assert_array_equal(read, np.rint(samples * (top / maxval)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_sgi(tmp_path, channels):
    pixels = random_pixels(channels, np.uint16)
    dimension = 2 if channels == 1 else 3
    header = struct.pack(">hBBHHHH", 474, 0, 2, dimension, 7, 5, channels).ljust(512, b"\0")
    planes = pixels[::-1].transpose(2, 0, 1).astype(">u2").tobytes()  # rows from the bottom
    (tmp_path / "a.sgi").write_bytes(header + planes)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.sgi"), pixels)
    (tmp_path / "a.sgi").write_bytes(header + planes[:-1])
    with pytest.raises(QuinrError, match=r"a\.sgi: damaged"):
        read_picture(tmp_path / "a.sgi")


@pytest.mark.parametrize(("name", "largest"), [("a.ico", 256), ("a.icns", 1024)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_icons_have_the_channels_that_are_decoded(tmp_path, capsys, name, largest, mode):
    picture = Image.fromarray(random_pixels(len(mode), height=largest, width=largest))
    picture.save(tmp_path / name)
    data = ImageDataModule(str(tmp_path / name))
    channels = data.channels
    data.setup()
    assert data.spec.channels == channels == len(mode)
    np.testing.assert_array_equal(data.values, np.asarray(picture))
    assert f"{tmp_path / name}: one of" in capsys.readouterr().err


def test_what_is_changed_is_said(tmp_path, capsys):
    Image.fromarray(random_pixels(4), "CMYK").save(tmp_path / "a.jpg")
    assert read_picture(tmp_path / "a.jpg").shape[2] == 3
    read_picture(tmp_path / "a.jpg")
    assert capsys.readouterr().err.count("CMYK is converted") == 1
    tifffile.imwrite(tmp_path / "a.tif", random_pixels(4), photometric="rgb", extrasamples=["unspecified"])
    assert read_picture(tmp_path / "a.tif").shape[2] == 3
    assert "unspecified meaning is left out" in capsys.readouterr().err


def written(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def written_tiff(pixels: np.ndarray, planar: str) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", planarconfig=planar)
    return file.getvalue()


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
    return {
        "empty": b"",
        "text": b"certainly no picture\n",
        "cut in half": good.getvalue()[: len(good.getvalue()) // 2],
        "cut in the header": good.getvalue()[:20],
        "flipped byte": bytes(flipped),
        "decompression bomb": bytes(bomb),
        "32-bit values": large.getvalue(),
        "two frames": frames.getvalue(),
        "16-bit colour PPM in text": b"P3 1 1 1023 5 6 7\n",
        "16-bit planes of TIFF": written_tiff(
            random_pixels(3, np.uint16).transpose(2, 0, 1), planar="separate"
        ),
        "LAB": written(Image.fromarray(random_pixels(3), "LAB"), "TIFF"),
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "MPEG": b"\0\0\x01\xb3" + bytes(60),
        "no pixels": b"P5 0 0 255\n",
        "two pages": written(two[0], "TIFF", save_all=True, append_images=two[1:]),
        "animated PNG": written(two[0], "PNG", save_all=True, append_images=two[1:]),
        "animated WebP": written(two[0], "WEBP", save_all=True, append_images=two[1:]),
        "cut JPEG": written(Image.fromarray(random_pixels(3, height=64, width=64)), "JPEG")[:1500],
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
