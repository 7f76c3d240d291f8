"""`quinr-pl compress` to a rate or to a quality."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from compressing import (
    DATA,
    FEW_LATENT_STEPS,
    FEW_STEPS,
    TINY_LATENT,
    WAVES,
    error_lines,
    kept,
    no_fit,
    write_edges,
    write_gray,
    write_waves,
)
from PIL import Image

from quinr_pl.commands import rate
from quinr_pl.commands.ask import Ask
from quinr_pl.commands.fit_flags import FitFlags
from quinr_pl.commands.main import main
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.fitting import FitResult

pytestmark = pytest.mark.usefixtures("folder")


def test_compress_to_a_rate():
    write_gray("noise.png", 96, 96)
    assert main(["compress", "noise.png", "--bpp", "0.3", *FEW_STEPS]) == 0
    assert 0.285 <= 8 * Path("noise.quinr").stat().st_size / 96**2 <= 0.3


@pytest.mark.parametrize(
    ("channels", "asked"),
    [
        (3, ["--bpp", "1.0"]),
        pytest.param(1, ["--bytes", "700"], marks=pytest.mark.slow),
        pytest.param(4, ["--bpp", "1.5"], marks=pytest.mark.slow),
    ],
)
def test_latents_are_steered_to_the_size_asked_for(channels, asked, capsys):
    write_edges("edges.png", channels=channels, noise=0.05)  # no bit is for nothing
    assert main(["compress", "edges.png", *asked, "--json", *FEW_LATENT_STEPS]) == 0
    shown = capsys.readouterr()
    figures = json.loads(shown.out)
    size = Path("edges.quinr").stat().st_size
    most = float(asked[1]) * 600 if asked[0] == "--bpp" else int(asked[1])
    assert 0.97 * most <= size <= most
    assert (figures["bytes"], figures["network"]) == (size, "LatentQuINR")
    assert figures["bpp"] == pytest.approx(size / 600)
    assert figures["lambda"] > 0
    assert f"80 x 60, {most / 600:.2f} bpp = {most:,.0f} bytes, effort 3: about" in shown.err


@pytest.mark.slow
def test_latents_are_steered_to_the_quality_asked_for(capsys):
    write_edges("edges.png")
    assert main(["compress", "edges.png", "--psnr", "25", "--network", "latents", *FEW_LATENT_STEPS]) == 0
    assert main(["decompress", "edges.quinr", "-o", "back.png"]) == 0
    errors = np.asarray(Image.open("back.png")).astype(float) - np.asarray(Image.open("edges.png"))
    assert 25 <= 10 * np.log10(255**2 / np.mean(errors**2)) <= 25.1


@pytest.mark.slow
def test_16_bits_and_a_strip_in_latents():
    write_edges("strip.png", 1, 300, 1, np.uint16, noise=0.05)  # no bit is for nothing
    few = ["--network", "latents", "--bytes", "250", *FEW_LATENT_STEPS, "--trainer.max_steps", "400"]
    assert main(["compress", "strip.png", *few]) == 0
    assert 0.97 * 250 <= Path("strip.quinr").stat().st_size <= 250


def fits_of(sizes, monkeypatch) -> list[float]:
    """Makes fits give files of these sizes, a dB for each 30 bytes, and returns their biases."""
    left, steered = list(sizes), []

    def fit(settings, folder, **names):
        folder.mkdir(parents=True)
        callbacks = settings["trainer"]["callbacks"]
        steered.extend(c["init_args"]["bias"] for c in callbacks if c["class_path"].endswith("RateControl"))
        size = left.pop(0)
        path = folder / "signal.quinr"
        path.write_bytes(bytes(size))
        return FitResult(path, size / 30, 1.0, size, 1, "LatentQuINR", 1e-3, 2.0, 1.0, {})

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    return steered


def compressed(ask: Ask):
    """The figures of what is asked of a picture."""
    job = rate.RatedFit(ask, FitFlags([], []), Path("edges.png"), "x", announces=False)
    return job.run(Path("runs")).figures


@pytest.mark.parametrize(
    ("pixels", "sizes", "best", "tries"),
    [
        (60, [990], 990, 1),
        (60, [800, 960, 1100, 980], 980, 4),  # of a small picture
        (60, [800, 795], 800, 2),  # what more would not fill
        (200, [1200, 900], 900, 2),  # of a large one
        (200, [1200, 1100, 1000], 1000, 3),  # which has none that is small enough
    ],
)
def test_what_misses_a_size_is_steered_elsewhere(pixels, sizes, best, tries, monkeypatch):
    steered = fits_of(sizes, monkeypatch)
    write_edges("edges.png", pixels, 200)
    figures = compressed(Ask(most_bytes=1000))
    assert (figures["bytes"], figures["seconds"]) == (best, 2.0 * tries)
    assert len(steered) == tries
    for (bias, following), size in zip(itertools.pairwise(steered), sizes, strict=False):
        assert (following > bias) == (size < 1000)


@pytest.mark.parametrize(
    ("sizes", "best"),
    [
        ([901], 901),  # 30.03 dB
        ([870, 930], 930),  # no third one for fewer bytes
        ([870, 890, 897, 905], 905),  # a third and a fourth one rather than none
        ([870, 869], None),  # what more would not reach
    ],
)
def test_what_misses_a_quality_is_steered_elsewhere(sizes, best, monkeypatch):
    steered = fits_of(sizes, monkeypatch)
    write_edges("edges.png", 60, 200)
    ask = Ask(psnr=30.0, network="latents")
    if best is None:
        with pytest.raises(rate.OutOfReachError, match=r"the best of 2 fits reached 29\.00 dB"):
            compressed(ask)
    else:
        assert compressed(ask)["bytes"] == best
    assert len(steered) == len(sizes)
    assert steered == sorted(steered)


@pytest.mark.parametrize(
    ("flags", "fewest"),
    [
        (["--bpp", "0.1"], 120),
        (["--bytes", "140", "--network", "latents"], 150),
        (["--bpp", "1e-9", "--config", TINY_LATENT], 120),
    ],
)
def test_too_small_a_size_is_refused_with_the_smallest_one(flags, fewest, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_edges("edges.png")
    assert main(["compress", "edges.png", *flags]) == 2
    (line,) = error_lines(capsys)
    assert f"the smallest possible file has {fewest}; ask for {flags[0]} " in line
    again = re.search(r"ask for (--\w+) (\S+) or more", line)
    assert again is not None
    with pytest.raises(AssertionError, match="a fit was started"):
        main(["compress", "edges.png", *flags[2:], *again.groups()])


def test_a_rate_above_that_of_the_picture_itself(capsys, monkeypatch):
    no_fit(monkeypatch)
    write_edges("edges.png")
    assert main(["compress", "edges.png", "--bpp", "24.1"]) == 2
    assert "--bpp 24.1: the signal has 24 uncompressed; ask for less" in error_lines(capsys)[0]
    with pytest.raises(AssertionError, match="a fit was started"):
        main(["compress", "edges.png", "--bpp", "24"])


def test_a_size_above_that_of_the_picture_itself_is_any_size(monkeypatch):
    steered = fits_of([10800], monkeypatch)
    write_edges("edges.png", 60, 60)
    assert compressed(Ask(most_bytes=10**12))["bytes"] == 10800
    assert steered == [0.0]


def test_fits_that_all_miss_a_size_name_the_smallest_file_found(monkeypatch):
    steered = fits_of([2000, 1990, 1980], monkeypatch)
    write_edges("edges.png", 60, 60)
    with pytest.raises(QuinrError, match=r"too few; the smallest file found has 1990;.*fit longer"):
        compressed(Ask(most_bytes=1000))
    assert len(steered) == 2  # the second one came hardly nearer


def test_a_flag_of_the_users_counts_more_than_the_plan(monkeypatch):
    settings = []

    def fit(given, folder, **names):
        settings.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    write_edges("edges.png")
    flags = ["--bytes", "900", "--effort", "1", "--model.network.qubits", "2", "--trainer.max_steps", "7"]
    assert main(["compress", "edges.png", *flags]) == 130
    assert settings[0]["model"]["network"]["init_args"]["qubits"] == 2
    assert settings[0]["trainer"]["max_steps"] == 7
    assert settings[0]["model"]["precondition_frequency"] == 5  # the plan's


def test_the_network_is_named_once(capsys, monkeypatch):
    no_fit(monkeypatch)
    write_edges("edges.png")
    assert main(["compress", "edges.png", "--config", "kodak_latent.yaml", "--network", "latents"]) == 2
    assert "--network latents: the config names a network" in error_lines(capsys)[0]


@pytest.mark.parametrize(
    "way",
    [
        pytest.param("config", marks=pytest.mark.slow),
        "init_args",
        pytest.param("equals", marks=pytest.mark.slow),
    ],
)
def test_a_rate_sees_every_way_to_say_what_the_data_is(way):
    street_scan(0, dropout=0.9).astype("<f4").tofile("scan.bin")
    shape = {"height": 32, "width": 128}
    Path("my.yaml").write_text(json.dumps({"data": {"init_args": shape}}))
    flags = {
        "config": ["--config", "my.yaml"],
        "init_args": [part for k, v in shape.items() for part in (f"--data.init_args.{k}", str(v))],
        "equals": [f"--data.{k}={v}" for k, v in shape.items()],
    }[way]
    assert main(["compress", *FEW_STEPS, *flags, "scan.bin", "--bpp", "1.0"]) == 0
    assert 0.9 <= 8 * Path("scan.quinr").stat().st_size / (32 * 128) <= 1.0


@pytest.mark.slow
def test_a_rate_holds_for_the_network_that_flags_make_larger():
    write_gray("noise.png", 96, 96)
    assert (
        main(["compress", "noise.png", "--bpp", "0.3", *FEW_STEPS, "--model.network.sine_width", "30"]) == 0
    )
    assert Path("noise.quinr").stat().st_size <= 0.3 * 96**2 / 8


@pytest.mark.parametrize("rates", [["--preset", "small"], ["--bpp", "1"], ["--psnr", "20"]])
def test_a_rate_of_another_network_is_refused_before_any_work(rates, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_gray("photo.png")
    assert main(["compress", "photo.png", "--config", "coin_kodak.yaml", *rates]) == 2
    (line,) = error_lines(capsys)
    assert f"{' '.join(rates)}" in line
    assert "has COIN" in line


@pytest.mark.slow
def test_compress_a_scan_with_its_mask_to_a_rate(capsys):
    points = street_scan(0, dropout=0.9)
    points.astype("<f4").tofile("scan.bin")
    shape = ["--data.height", "64", "--data.width=128"]
    assert main(["compress", "scan.bin", "--bpp", "1.0", *shape, *FEW_STEPS]) == 0
    assert 0.95 <= 8 * Path("scan.quinr").stat().st_size / (64 * 128) <= 1.0
    _, valid = project(points, Projection("auto", 64, 128, None, None))
    assert main(["decompress", "scan.quinr", "-o", "scan.npy", "--range-image"]) == 0
    assert (np.load("scan.npy")[~valid] == 0).all()
    capsys.readouterr()
    assert main(["inspect", "scan.quinr", "--json"]) == 0
    sections = json.loads(capsys.readouterr().out)["sections"]
    assert sections["mask"] > 100
    known = sections["mask"] + 3 + sections["scanner"] + 2
    again = ["compress", "scan.bin", "-o", "less.quinr", "--bpp", "0.2", *shape, *FEW_STEPS]
    assert main(again) == 2
    shown = capsys.readouterr().err
    assert f"the smallest possible file has {known + 120}, {known} of them its mask and rays" in shown
    assert main([*again, "--data.mask", "false"]) == 0
    assert 0.19 <= 8 * Path("less.quinr").stat().st_size / (64 * 128) <= 0.2


def test_compress_to_a_quality(capsys, monkeypatch):
    monkeypatch.setattr(rate, "PSNR_TRIES", 2)
    pixels = write_waves("waves.png")
    assert main(["compress", "waves.png", "--psnr", "15", *WAVES]) == 0
    assert "try 1" in capsys.readouterr().out
    assert main(["decompress", "waves.quinr", "-o", "back.png"]) == 0
    error = np.asarray(Image.open("back.png")).astype(float) - pixels
    assert 10 * np.log10(255**2 / np.mean(error**2)) >= 15


def test_a_quality_out_of_reach(folder, capsys, monkeypatch):
    pixels = np.load(DATA / "quinr_three_stages.npy")
    Image.fromarray(255 - pixels).save("negative.png")
    data = (DATA / "quinr_three_stages.quinr").read_bytes()
    sizes: list[int] = []

    def fit(settings, folder, **names):
        sizes.append(settings["quantization"]["rate"])
        folder.mkdir(parents=True)
        path = folder / "signal.quinr"
        path.write_bytes(data)
        return FitResult(path, 12.0, 1.0, len(data), 1, "QuINR", 0.0, 1.0, 1.0, {})

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    coordinates = ["--network", "coordinates"]
    assert main(["compress", "negative.png", "-o", "x.quinr", "--psnr", "30", *coordinates]) == 2
    assert "--psnr 30: " in capsys.readouterr().err
    assert 1 <= len(sizes) <= 5
    assert not Path("x.quinr").exists()
    assert kept(folder) == []
