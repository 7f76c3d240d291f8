"""Scans in files that name their fields, and range images in files."""

from __future__ import annotations

import re
import struct
import sys
import tomllib
from pathlib import Path

import laspy
import numpy as np
import plyfile
import pytest
from PIL import Image

from quinr_pl.commands.main import main
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.pcd import decompress_lzf, read_pcd
from quinr_pl.datamodules.point_file import read_points
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError

CONF = Path(__file__).parents[1] / "conf"
STEP = 1 / 1024
"""Metres that coordinates are multiples of: float32, LAS and decimals then hold them alike."""


def scan() -> np.ndarray:
    points = street_scan(0, azimuths=240)
    return np.round(points / STEP).astype(np.float64) * STEP


def compressed_lzf(data: bytes) -> bytes:
    """LZF of literals and of repetitions of one byte."""
    packed, at = bytearray(), 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at] and run < 265:
            run += 1
        if run > 4:
            packed += bytes([0, data[at]])
            length = run - 1 - 2
            packed += bytes([length << 5, 0]) if length < 7 else bytes([7 << 5, length - 7, 0])
            at += run
        else:
            piece = data[at : at + min(run, 32)]
            packed += bytes([len(piece) - 1]) + piece
            at += len(piece)
    return bytes(packed)


def write_pcd(path: Path, columns: dict[str, np.ndarray], form: str) -> None:
    kinds = {name: (column.dtype.itemsize, column.dtype.kind.upper()) for name, column in columns.items()}
    count = len(next(iter(columns.values())))
    header = [
        "# .PCD v0.7",
        "VERSION 0.7",
        f"FIELDS {' '.join(columns)}",
        f"SIZE {' '.join(str(size) for size, _ in kinds.values())}",
        f"TYPE {' '.join(kind for _, kind in kinds.values())}",
        f"COUNT {' '.join('1' for _ in columns)}",
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        f"DATA {form}",
        "",
    ]
    if form == "ascii":
        body = "\n".join(
            " ".join(map(repr, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)
        )
        data = body.encode()
    elif form == "binary":
        data = np.rec.fromarrays(list(columns.values())).tobytes()
    else:
        plain = b"".join(column.tobytes() for column in columns.values())
        packed = compressed_lzf(plain)
        data = struct.pack("<II", len(packed), len(plain)) + packed
    path.write_bytes("\n".join(header).encode() + data)


def write_las(path: Path, points: np.ndarray, offset: float = 0.0) -> None:
    las = laspy.create(point_format=0)
    las.header.scales, las.header.offsets = [STEP] * 3, [offset] * 3
    las.x, las.y, las.z = (points[:, axis] + offset for axis in range(3))
    las.write(str(path))


def write_as(name: str, folder: Path, points: np.ndarray) -> Path:
    path = folder / name
    x, y, z, remission = points.astype(np.float32).T
    if path.suffix == ".bin":
        points.astype("<f4").tofile(path)
    elif path.suffix == ".npy":
        np.save(path, points[:, :3] if "three" in name else points)
    elif path.suffix == ".ply":
        fields = [(axis, "f4") for axis in ("x", "y", "z", "intensity")]
        table = np.array(list(zip(x, y, z, remission, strict=True)), dtype=fields)
        plyfile.PlyData([plyfile.PlyElement.describe(table, "vertex")], text="text" in name).write(str(path))
    elif path.suffix in (".las", ".laz"):
        write_las(path, points)
    else:
        columns = {"x": x, "y": y, "z": z, "intensity": remission}
        write_pcd(path, columns, path.stem)
    return path


NAMES = [
    "three.npy",
    "four.npy",
    "binary.ply",
    "text.ply",
    "ascii.pcd",
    "binary.pcd",
    "binary_compressed.pcd",
    "scan.las",
    "scan.laz",
]


def module_of(path: Path, **arguments) -> ImageDataModule:
    data = ImageDataModule(str(path), points=True if path.suffix == ".npy" else None, **arguments)
    data.setup()
    return data


@pytest.mark.parametrize("name", NAMES)
def test_the_same_signal_from_every_format(name, tmp_path):
    expected = module_of(write_as("scan.bin", tmp_path, scan()))
    found = module_of(write_as(name, tmp_path, scan()))
    assert expected.spec.shape[0] == 64
    assert found.spec == expected.spec
    assert found.spec.scanner == expected.spec.scanner
    np.testing.assert_array_equal(found.spec.mask, expected.spec.mask)
    np.testing.assert_array_equal(found.targets, expected.targets)
    np.testing.assert_array_equal(found.points, expected.points)


def test_the_same_file_from_other_formats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit = ["--config", str(CONF / "tiny.yaml"), "--config", str(CONF / "quick_callbacks.yaml")]
    files = []
    for name in ("scan.bin", "binary_compressed.pcd", "scan.laz"):
        path = write_as(name, tmp_path, scan())
        assert main(["compress", str(path), "-o", f"{name}.quinr", *fit, "--trainer.max_steps", "4"]) == 0
        files.append(Path(f"{name}.quinr").read_bytes())
    assert files[0] == files[1] == files[2]


def test_organized_clouds_and_beam_numbers(tmp_path):
    """Velodyne's driver: firing after firing, NaN where there is no return, ring 0 the lowest beam."""
    generator = np.random.default_rng(0)
    ring = np.tile(np.arange(16), 100).astype(np.uint16)
    azimuth = np.repeat(np.linspace(np.pi, -np.pi, 100, endpoint=False) - 0.01, 16)
    elevation, distance = np.radians(-15 + 2.0 * ring), generator.uniform(4, 40, 1600)
    distance[generator.random(1600) < 0.2] = np.nan
    level = distance * np.cos(elevation)
    xyz = [level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation)]
    columns = dict(zip("xyz", (axis.astype(np.float32) for axis in xyz), strict=True))
    columns |= {"_": np.zeros(1600, np.float32), "ring": ring, "time": np.zeros(1600)}
    write_pcd(tmp_path / "velodyne.pcd", columns, "binary_compressed")
    points, _ = read_points(tmp_path / "velodyne.pcd")
    assert points.shape == (np.isfinite(distance).sum(), 4)
    np.testing.assert_array_equal(points[:, 3], ring[np.isfinite(distance)])
    data = module_of(tmp_path / "velodyne.pcd")
    assert data.spec.shape == (16, 64)
    np.testing.assert_allclose(data.spec.scanner.elevations, np.arange(1500, -1501, -200), atol=1)


def test_lzf_repeats_what_came_before():
    # "abcd", then 2 + 1 from 4 back, then 2 + 7 + 2 from 1 back: a run of the last byte
    assert decompress_lzf(b"\x03abcd" + b"\x20\x03" + b"\xe0\x02\x00", 18) == b"abcdabc" + b"c" * 11
    data = np.random.default_rng(0).integers(0, 3, 5000).astype(np.uint8).repeat(7).tobytes()
    assert decompress_lzf(compressed_lzf(data), len(data)) == data
    for packed, size in [(b"\x00a", 2), (b"\x00a\x20\x05", 4), (b"\x00a", 0)]:
        with pytest.raises(ValueError, match=r"unpacked|not there"):
            decompress_lzf(packed, size)


@pytest.mark.parametrize(
    "name", ["binary.ply", "ascii.pcd", "binary.pcd", "binary_compressed.pcd", "scan.las", "scan.laz"]
)
@pytest.mark.parametrize("share", [0.0, 0.002, 0.5])
def test_a_cut_file_is_one_line(name, share, tmp_path):
    path = write_as(name, tmp_path, scan())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(QuinrError, match=rf"^{re.escape(str(path))}: .*write it again$"):
        read_points(path)


def test_fields_that_are_missing_or_of_several_numbers(tmp_path):
    ones = np.ones(4, np.float32)
    write_pcd(tmp_path / "a.pcd", {"x": ones, "y": ones}, "binary")
    with pytest.raises(QuinrError, match="no field z"):
        read_points(tmp_path / "a.pcd")
    text = "FIELDS x y z n\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 3\nPOINTS 2\nDATA ascii\n"
    (tmp_path / "b.pcd").write_text(text + "1 2 3 0 0 1\n4 5 6 0 1 0\n")
    np.testing.assert_array_equal(read_points(tmp_path / "b.pcd")[0], [[1, 2, 3], [4, 5, 6]])
    assert list(read_pcd(tmp_path / "b.pcd")) == ["x", "y", "z", "n"]
    write_pcd(tmp_path / "c.pcd", dict.fromkeys("xyz", np.full(3, np.nan, np.float32)), "binary")
    with pytest.raises(QuinrError, match="no point with finite"):
        read_points(tmp_path / "c.pcd")


def test_points_of_a_map_and_millimetres(tmp_path):
    write_las(tmp_path / "map.las", scan(), offset=450_000.0)
    with pytest.raises(QuinrError, match=r"not around a scanner; subtract its place, or say by --data\.unit"):
        read_points(tmp_path / "map.las")
    expected = module_of(write_as("scan.bin", tmp_path, scan()))
    x, y, z, _ = np.round(scan() * 1000).astype(np.int32).T
    write_pcd(tmp_path / "mm.pcd", {"x": x, "y": y, "z": z}, "binary")
    found = module_of(tmp_path / "mm.pcd", unit=0.001)
    np.testing.assert_allclose(np.sort(found.points, 0), np.sort(expected.points, 0), atol=6e-4)
    with pytest.raises(QuinrError, match=r"--data\.unit 0"):
        ImageDataModule("a.pcd", unit=0.0)


@pytest.mark.parametrize(("package", "name"), [("laspy", "scan.las"), ("plyfile", "binary.ply")])
def test_a_missing_package_is_named(package, name, tmp_path, monkeypatch):
    path = write_as(name, tmp_path, scan())
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    (requirement,) = [one for one in extras["project"]["optional-dependencies"]["lidar"] if package in one]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(QuinrError) as caught:
        read_points(path)
    assert str(caught.value).endswith(f"is not installed; pip install '{requirement}'")


def test_range_images_of_arrays_and_pictures(tmp_path):
    metres = np.random.default_rng(0).uniform(1, 70, (16, 48)).astype(np.float32)
    metres[2, 3:6] = 0, np.nan, -1
    expected = np.isfinite(metres) & (metres > 0)
    np.save(tmp_path / "range.npy", metres)
    data = module_of_range(tmp_path / "range.npy")
    assert data.spec.kind.name == "range_image"
    assert data.spec.scanner is None
    np.testing.assert_array_equal(data.spec.mask, expected)
    np.testing.assert_array_equal(data.values[expected, 0], metres[expected])
    np.save(tmp_path / "mm.npy", (np.where(expected, metres, 0) * 1000)[..., None])
    np.testing.assert_allclose(
        module_of_range(tmp_path / "mm.npy", unit=0.001).values, data.values, rtol=1e-5
    )
    levels = np.rint(np.where(expected, metres, 0) * 256).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "range.png")
    picture = module_of_range(tmp_path / "range.png", fov_up=15.0, fov_down=-15.0)
    np.testing.assert_array_equal(picture.values[..., 0], levels / np.float32(256))
    assert picture.spec.scanner.elevations[0] == 1500 - 94
    Image.fromarray(levels).save(tmp_path / "half.png")
    np.testing.assert_array_equal(
        module_of_range(tmp_path / "half.png", unit=1 / 512).values, picture.values / 2
    )


def module_of_range(path: Path, **arguments) -> ImageDataModule:
    data = ImageDataModule(str(path), range_image=True, **arguments)
    data.setup()
    return data


def test_what_is_no_range_image(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    with pytest.raises(QuinrError, match="no pixel has a return"):
        module_of_range(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.ones((4, 4, 3)))
    with pytest.raises(QuinrError, match=r"needs \(height, width\)"):
        module_of_range(tmp_path / "a.npy")
    np.save(tmp_path / "far.npy", np.full((2, 2), 100.0))
    assert module_of_range(tmp_path / "far.npy", peak=80.0).values.max() == 80
    assert "of 4 ranges 4 lie beyond --data.peak 80" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("farthest", "peak"),
    [
        (0.02, 0.029296875),
        (3.0, 3.75),
        (10.0, 10),
        (10.05, 10),
        (10.2, 15),
        (79.9, 80),
        (80.5, 80),
        (101, 120),
    ],
)
def test_the_peak_follows_the_farthest_return(tmp_path, capsys, farthest, peak):
    ranges = np.full((2, 3), farthest / 2)
    ranges[0, 0] = farthest
    np.save(tmp_path / "far.npy", ranges)
    data = module_of_range(tmp_path / "far.npy")
    assert data.spec.high == peak
    assert ("beyond --data.peak" in capsys.readouterr().err) == (farthest > peak)
    points = np.zeros((6, 4), np.float32)
    points[:, :2] = np.stack([ranges.ravel() * np.cos(range(6)), ranges.ravel() * np.sin(range(6))], axis=1)
    np.save(tmp_path / "points.npy", points)
    scan = ImageDataModule(str(tmp_path / "points.npy"), points=True)
    scan.setup()
    assert scan.spec.high == peak
