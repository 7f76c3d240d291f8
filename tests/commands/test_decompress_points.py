"""`quinr-pl decompress` of a scan, to points and to its picture."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import COMMAND, completed

from quinr_pl.codec import decode
from quinr_pl.commands.main import main
from quinr_pl.datamodules.synthetic_scan import street_scan

TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")
QUICK = str(Path(__file__).parents[1] / "conf" / "quick_callbacks.yaml")
FIT = ["--config", TINY, "--config", QUICK, "--trainer.max_steps", "4", "--data.width", "64"]
GOLDEN = Path(__file__).parents[1] / "data" / "quinr_stages_range.quinr"


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    street_scan(0, azimuths=200).tofile(folder / "drive.bin")
    assert main(["compress", str(folder / "drive.bin"), *FIT]) == 0
    return folder / "drive.quinr"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, drive):
    monkeypatch.chdir(tmp_path)
    shutil.copy(drive, "drive.quinr")
    return tmp_path


def read_header(path: str, last: bytes) -> tuple[list[str], np.ndarray]:
    header, numbers = Path(path).read_bytes().split(last, 1)
    return header.decode("ascii").split("\n"), np.frombuffer(numbers, "<f4").reshape(-1, 3)


def test_points_in_every_format():
    expected = decode(Path("drive.quinr").read_bytes()).points()
    assert 3000 < len(expected) <= 64 * 64
    for name in ("scan.npy", "scan.bin", "scan.ply", "scan.pcd"):
        assert main(["decompress", "drive.quinr", "-o", name]) == 0
    points = np.load("scan.npy")
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, expected)
    kitti = np.fromfile("scan.bin", "<f4").reshape(-1, 4)
    np.testing.assert_array_equal(kitti[:, :3], expected)
    assert not kitti[:, 3].any()
    header, points = read_header("scan.ply", b"end_header\n")
    np.testing.assert_array_equal(points, expected)
    assert header[:3] == ["ply", "format binary_little_endian 1.0", f"element vertex {len(expected)}"]
    header, points = read_header("scan.pcd", b"DATA binary\n")
    np.testing.assert_array_equal(points, expected)
    assert {f"WIDTH {len(expected)}", f"POINTS {len(expected)}", "FIELDS x y z"} <= set(header)


def test_points_without_a_name_and_through_a_pipe():
    assert main(["decompress", "drive.quinr"]) == 0
    points = np.load("drive.npy")
    assert points.shape == decode(Path("drive.quinr").read_bytes()).points().shape
    with open("drive.quinr", "rb") as file, open("piped.bin", "wb") as pipe:
        done = completed([*COMMAND, "decompress", "-", "--format", "bin"], stdin=file, stdout=pipe)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.fromfile("piped.bin", "<f4").reshape(-1, 4)[:, :3], points)


def test_the_picture_of_a_scan():
    decoded = decode(Path("drive.quinr").read_bytes())
    assert main(["decompress", "drive.quinr", "-o", "picture.npy", "--range-image"]) == 0
    picture = np.load("picture.npy")
    np.testing.assert_array_equal(picture, decoded.reconstruct()[..., 0])
    assert main(["decompress", "drive.quinr", "-o", "picture.png"]) == 0
    np.testing.assert_allclose(np.asarray(Image.open("picture.png")) / 256, picture, atol=1 / 500)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (
            "drive.quinr",
            ["-o", "scan.ply", "--range-image"],
            r"scan\.ply: range_image is written as \.npy or \.png",
        ),
        ("old.quinr", ["-o", "scan.ply"], "so there are no points"),
        (
            "photo.quinr",
            ["-o", "scan.bin"],
            r"scan\.bin: image_8 is written as \.png or \.npy, not as \.bin$",
        ),
    ],
)
def test_what_has_no_points(source, arguments, message, capsys):
    shutil.copy(GOLDEN, "old.quinr")
    shutil.copy(GOLDEN.with_name("quinr_rgb8.quinr"), "photo.quinr")
    assert main(["decompress", source, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not Path(arguments[1]).exists()


def test_a_file_without_rays_decodes_to_its_picture():
    shutil.copy(GOLDEN, "old.quinr")
    assert main(["decompress", "old.quinr"]) == 0
    assert np.load("old.npy").shape == np.load(GOLDEN.with_suffix(".npy")).squeeze().shape
