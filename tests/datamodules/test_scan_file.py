from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from quinr_pl.datamodules import ImageDataModule, KittiRangeImageDataModule
from quinr_pl.datamodules.scan_file import ScanFormat, read_scan
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError

STREET = street_scan(0, azimuths=100)


def with_numbers(count: int) -> np.ndarray:
    """The street with fewer or more numbers a point: intensity to 255, beam, time."""
    random = np.random.default_rng(0)
    further = [
        random.integers(0, 256, len(STREET)),
        np.arange(len(STREET)) % 32,
        np.arange(len(STREET)) / 1e5,
    ]
    return np.column_stack([STREET[:, :3], *further])[:, :count]


FORMATS = [
    (3, "<f4", "--data.floats 3"),
    (5, "<f4", "--data.floats 5"),
    (6, "<f4", "--data.floats 6"),
    (4, ">f4", "--data.floats 4 --data.byte_order big"),
    (5, ">f4", "--data.floats 5 --data.byte_order big"),
    (3, "<f8", "--data.floats 3 --data.float_bits 64"),
    (4, ">f8", "--data.floats 4 --data.byte_order big --data.float_bits 64"),
]


@pytest.mark.parametrize(("count", "dtype", "flags"), FORMATS)
def test_other_formats_are_refused_with_the_flags_that_read_them(tmp_path, count, dtype, flags):
    points = with_numbers(count)
    points.astype(dtype).tofile(tmp_path / "a.bin")
    with pytest.raises(QuinrError, match=f"a.bin: .* say {flags}$") as caught:
        read_scan(tmp_path / "a.bin")
    assert "\n" not in str(caught.value)
    words = flags.replace("--data.", "").split()
    asked = dict(zip(words[::2], words[1::2], strict=True))
    given = {name: value if name == "byte_order" else int(value) for name, value in asked.items()}
    read = read_scan(tmp_path / "a.bin", ScanFormat(**given))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, points.astype(np.float32))
    data = ImageDataModule(str(tmp_path / "a.bin"), **given)
    data.setup()
    STREET.tofile(tmp_path / "b.bin")
    twin = ImageDataModule(str(tmp_path / "b.bin"))
    twin.setup()
    np.testing.assert_array_equal(data.values, twin.values)


@pytest.mark.parametrize("count", [3, 5])
def test_a_cut_scan_is_refused_unless_its_format_is_named(tmp_path, capsys, count):
    points = with_numbers(count).astype("<f4")
    (tmp_path / "a.bin").write_bytes(points.tobytes()[:-4])
    with pytest.raises(QuinrError, match=f"say --data.floats {count}$"):
        read_scan(tmp_path / "a.bin")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.bin", ScanFormat(floats=count)), points[:-1])
    assert f"{4 * count - 4} bytes after the last whole point are left out" in capsys.readouterr().err


def test_asked_formats_are_not_doubted(tmp_path):
    points = STREET.copy()
    points[:, 3] -= 10  # which no remission is
    points.tofile(tmp_path / "a.bin")
    with pytest.raises(QuinrError, match="do not look like"):
        read_scan(tmp_path / "a.bin")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.bin", ScanFormat(floats=4)), points)


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, kind)
    return file.getvalue()


OTHERS = {
    "text": (b"1.5 2.5 0.1 0.3\n" * 1000, "text"),
    "PCD": (b"# .PCD v0.7 - Point Cloud Data\n" + bytes(1000), "PCD"),
    "PLY": (b"ply\nformat binary_little_endian 1.0\n" + bytes(999), "PLY"),
    "LAS": (b"LASF" + bytes(396), "LAS"),
    "PNG": (picture("PNG"), "PNG"),
    "JPEG": (picture("JPEG"), "JPEG"),
    "TIFF": (picture("TIFF"), "TIFF"),
    "WebP": (picture("WEBP"), "WebP"),
    "array": (b"\x93NUMPY" + bytes(1018), r"\.npy"),
    "compressed": (b"QNR" + bytes(61), r"\.quinr"),
    "JPEG 2000": (picture("JPEG2000"), "do not look like"),
    "noise": (np.random.default_rng(0).bytes(16000), "do not look like"),
    "16-bit integers": (np.arange(16000, dtype="<u2").tobytes(), "do not look like"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("cut", [16, 1])
def test_other_kinds_of_file_are_no_scans(tmp_path, kind, cut):
    content, message = OTHERS[kind]
    (tmp_path / "a.bin").write_bytes(content[: len(content) // cut * cut])
    with pytest.raises(QuinrError, match=rf"a\.bin: .*{message}") as caught:
        read_scan(tmp_path / "a.bin")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"floats": 2}, "--data.floats 2"),
        ({"floats": 99}, "--data.floats 99"),
        ({"byte_order": "middle"}, "little, big"),
        ({"float_bits": 16}, "--data.float_bits 16"),
    ],
)
def test_bad_formats(arguments, message):
    for make in (ScanFormat, lambda **given: ImageDataModule("a.bin", **given), KittiRangeImageDataModule):
        with pytest.raises(QuinrError, match=message):
            make(**arguments)


def test_scan_larger_than_any(tmp_path):
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(16 << 25)  # sparse: takes no room
    with pytest.raises(QuinrError, match="more than"):
        read_scan(tmp_path / "a.bin")
