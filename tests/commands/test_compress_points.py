"""`quinr-pl compress` of a scan to bits a point or to a Chamfer distance."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from compressing import error_lines, no_fit, write_gray

from quinr_pl import compress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.fitting import FitResult

pytestmark = pytest.mark.usefixtures("folder")


def write_scan(name: str = "scan.bin") -> int:
    """Writes a scan; gives the number of its points."""
    points = street_scan(0, azimuths=200)
    points.tofile(name)
    return len(points)


def asked(settings) -> dict:
    """What the fit is steered to."""
    (control,) = (c for c in settings["trainer"]["callbacks"] if c["class_path"].endswith("RateControl"))
    return control["init_args"]


def fake_fit(monkeypatch, chamfer_at, aims: list[float]) -> None:
    """Fits in no time that reach the PSNR they aim at, with the Chamfer distance that it stands for."""

    def fit(settings, folder, **names):
        folder.mkdir(parents=True)
        path = folder / "signal.quinr"
        path.write_bytes((Path(__file__).parents[1] / "data" / "quinr_rgb8.quinr").read_bytes())
        aims.append(asked(settings)["psnr"])
        size = int(100 * aims[-1])
        of_points = {"chamfer": chamfer_at(aims[-1]), "bits_per_point": 0.25}
        return FitResult(path, aims[-1], 1.0, size, 1, "LatentQuINR", 1e-3, 1.0, 1.0, {}, of_points)

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)


def test_bits_a_point_are_bytes(monkeypatch):
    settings = []

    def fit(given, folder, **names):
        settings.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    points = write_scan()
    assert main(["compress", "scan.bin", "--bits-per-point", "1.5"]) == 130
    assert asked(settings[0])["most_bytes"] == int(1.5 * points / 8)
    assert settings[0]["data"]["init_args"]["gaps"] == 8
    assert main(["compress", "scan.bin", "--bits-per-point", "1.5", "--data.gaps", "3"]) == 130
    assert settings[1]["data"]["init_args"]["gaps"] == 3
    assert main(["compress", "scan.bin", "--psnr", "40"]) == 130
    assert settings[2]["data"]["init_args"]["gaps"] == 0  # where every pixel counts
    assert [given["data"]["init_args"]["firings"] for given in settings] == [2, 2, 1]


@pytest.mark.parametrize("slope", [0.03, 0.05, 0.08])
def test_a_chamfer_distance_is_reached_by_the_psnr_of_pixels(slope, monkeypatch, capsys):
    aims: list[float] = []
    fake_fit(monkeypatch, lambda psnr: 0.3 * math.exp(-slope * (psnr - 35)), aims)
    write_scan()
    assert main(["compress", "scan.bin", "--chamfer", "0.25", "--json", "--network", "latents"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0.93 * 0.25 <= figures["chamfer"] <= 0.25
    assert figures["bits_per_point"] == 0.25
    assert 1 <= len(aims) <= 4


def test_a_chamfer_distance_out_of_reach(monkeypatch, capsys):
    aims: list[float] = []
    fake_fit(monkeypatch, lambda psnr: 0.2, aims)
    write_scan()
    assert main(["compress", "scan.bin", "--chamfer", "0.17", "--network", "latents"]) == 2
    (line,) = (line for line in error_lines(capsys) if "--chamfer" in line)
    assert "--chamfer 0.17: the best of 2 fits reached 0.200 m; ask for a larger distance" in line
    assert aims[1] > aims[0]
    assert not Path("scan.quinr").exists()


def test_of_files_of_a_size_the_points_nearest_count(monkeypatch, capsys):
    """The second file has the higher PSNR of pixels and the first one the nearer points."""
    sizes, results = [0.9, 0.99], []

    def fit(settings, folder, **names):
        folder.mkdir(parents=True)
        path = folder / "signal.quinr"
        path.write_bytes((Path(__file__).parents[1] / "data" / "quinr_rgb8.quinr").read_bytes())
        number = len(results)
        size = int(sizes[number] * asked(settings)["most_bytes"])
        of_points = {"chamfer": 0.1 + 0.1 * number, "bits_per_point": 1.0}
        results.append(
            FitResult(path, 30.0 + number, 1.0, size, 1, "LatentQuINR", 1e-3, 1.0, 1.0, {}, of_points)
        )
        return results[-1]

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    write_scan()
    assert main(["compress", "scan.bin", "--bits-per-point", "1", "--json"]) == 0
    assert len(results) == 2
    assert json.loads(capsys.readouterr().out)["chamfer"] == 0.1


def test_fits_without_any_point_are_out_of_reach(monkeypatch, capsys):
    aims: list[float] = []
    fake_fit(monkeypatch, lambda psnr: math.inf, aims)
    write_scan()
    assert main(["compress", "scan.bin", "--chamfer", "5", "--network", "latents"]) == 2
    (line,) = (line for line in error_lines(capsys) if "--chamfer" in line)
    assert "--chamfer 5: the best of 2 fits reached inf m" in line


def test_a_chamfer_distance_has_bounds(monkeypatch, capsys):
    no_fit(monkeypatch)
    write_scan()
    for distance in ("0.01", "121", "1e9"):
        assert main(["compress", "scan.bin", "--chamfer", distance]) == 2
        (line,) = error_lines(capsys)
        low, high = map(float, re.findall(r"between ([\d.]+).*and ([\d.]+) metres", line)[0])
        assert f"--chamfer {float(distance):g}: must lie" in line
        assert 0.01 < low < 0.2
        assert high == 120.0, "the peak of a scan whose farthest point lies at 86 m"
    assert main(["compress", "scan.bin", "scan.bin", "-o", "drive.quinr", "--chamfer", "0.01"]) == 2
    assert "--chamfer 0.01: must lie" in error_lines(capsys)[0]


def test_a_distance_that_every_file_has_gives_the_smallest(monkeypatch, capsys):
    aims: list[float] = []
    fake_fit(monkeypatch, lambda psnr: 0.3 * math.exp(-0.03 * (psnr - 35)), aims)
    write_scan()
    assert main(["compress", "scan.bin", "--chamfer", "20", "--json", "--network", "latents"]) == 0
    assert min(aims) > 0
    assert json.loads(capsys.readouterr().out)["bytes"] == int(100 * min(aims))


@pytest.mark.parametrize("flag", ["--bits-per-point", "--bpp"])
def test_a_rate_above_that_of_the_scan_itself(flag, monkeypatch, capsys):
    no_fit(monkeypatch)
    points = write_scan()
    assert main(["compress", "scan.bin", flag, "1e9"]) == 2
    (line,) = error_lines(capsys)
    rows, columns = ImageDataModule("scan.bin").read().spec.shape
    highest = 32 if flag == "--bpp" else 32 * rows * columns / points
    assert f"{flag} 1e+09: the signal has {highest:.4g} uncompressed; ask for less" in line


@pytest.mark.parametrize("flag", ["--bits-per-point", "--chamfer"])
def test_what_is_no_scan_has_no_points(flag, monkeypatch, capsys):
    no_fit(monkeypatch)
    write_gray("photo.png")
    assert main(["compress", "photo.png", flag, "0.2"]) == 2
    (line,) = error_lines(capsys)
    assert f"{flag} 0.2: photo.png is no scan of points" in line
    for value in ("0", "-1", "inf"):
        assert main(["compress", "photo.png", flag, value]) == 2
        assert f"{flag} {value}: must be a positive number" in error_lines(capsys)[0]


def test_points_are_asked_for_from_python_too(monkeypatch):
    aims: list[float] = []
    fake_fit(monkeypatch, lambda psnr: 0.3 * math.exp(-0.05 * (psnr - 35)), aims)
    write_scan()
    data = compress("scan.bin", chamfer=0.25, network="latents")
    assert 0.93 * 0.25 <= data.figures["chamfer"] <= 0.25
    with pytest.raises(QuinrError, match=r"--bits-per-point 0\.2: .* is no scan of points"):
        compress([[0.0, 1.0], [2.0, 3.0]], bits_per_point=0.2)
