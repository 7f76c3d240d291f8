"""Counting of latents under context models of other files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import small_latents
from PIL import Image

from benchmarks.shipped_context.crossed import main as crossed
from benchmarks.shipped_context.fits import main as fits
from benchmarks.shipped_context.folds import FORMS, cross_counted, summary
from benchmarks.shipped_context.models import Form
from benchmarks.shipped_context.rounds import context_of
from benchmarks.shipped_context.rounds import main as rounds
from benchmarks.shipped_context.sights import Sights, file_sights
from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.signals import IMAGE_8, SignalSpec

SPEC = SignalSpec(IMAGE_8, (64, 64), 3, 0.0, 255.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files whose latents are spread as widely as the coarser one at their place says."""
    folder = tmp_path_factory.mktemp("files")
    for seed in range(4):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        network, coarser = small_latents(64, 64, 3), rng.integers(0, 3, (8, 8))
        with torch.no_grad():
            for grid in reversed(list(network.pyramid.grids)):
                spread = np.kron(coarser, np.ones((2, 2), int))
                coarser = np.minimum(np.abs(np.rint(rng.laplace(0, 0.1 + spread))), 4)  # without escapes
                grid.copy_(torch.from_numpy(coarser))
        (folder / f"{seed}-0.1.quinr").write_bytes(compress(network, SPEC, Nearest(bits=12)).data)
    return sorted(folder.glob("*.quinr"))


def test_bits_are_those_of_the_section(files: list[Path]) -> None:
    for path in files:
        size = decode(path.read_bytes()).sections["latents"]
        assert file_sights(path).total / 8 == pytest.approx(size, rel=0.02)


def test_sights_hold_each_latent_once_with_all_that_covers_it() -> None:
    rng = np.random.default_rng(0)
    grids = [torch.from_numpy(rng.integers(-1, 2, shape)).float() for shape in ((7, 6), (4, 3), (2, 2))]
    sights = Sights.of(grids, 0, coarser=3)
    assert int(sights.counts.sum()) == 42
    seen = {(*row, value) for row, value in zip(sights.seen.tolist(), sights.values.tolist(), strict=True)}
    for y, x in ((0, 0), (6, 5), (3, 2)):
        left = float(grids[0][y, x - 1]) if x else 0.0
        covering = [float(grids[1][y // 2, x // 2]), float(grids[2][y // 4, x // 4]), 0.0]
        found = [row for row in seen if row[0] == left and list(row[24:27]) == covering]
        assert any(row[-1] == float(grids[0][y, x]) for row in found)


def test_a_model_of_other_files_saves_bits_where_they_are_alike(files: list[Path]) -> None:
    read = [file_sights(path, 6) for path in files]
    rows = cross_counted(Form(neighbours=4, width=6), read, folds=2, passes=1)
    own, shifted = (sum(bits[at] for row in rows.values() for bits in row.values()) for at in (0, 2))
    assert shifted < 0.9 * own  # their own models were never trained
    assert summary(rows)[0].startswith("0.1: -")
    assert str(FORMS["by level"]) == "24 + 1, 1 x 24, each level"


def test_models_are_crossed(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["crossed", *map(str, files[:3])])
        crossed()
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(":")[0] for row in rows] == ["0-0.1", "1-0.1", "2-0.1"]
    assert all(len(row.split("; ")[1].split()) == 3 for row in rows)


def test_a_files_context_model_prices_its_latents_in_a_network(files: list[Path]) -> None:
    for path in files:
        integers = decode(path.read_bytes()).quantized.integers.values()
        grids = [torch.from_numpy(grid).float() for grid in integers]
        counted = file_sights(path)
        with torch.no_grad():
            bits = context_of(counted.context)(grids)
        assert bits.tolist() == pytest.approx(list(counted.own_bits.values()), rel=1e-4)


@pytest.mark.slow
def test_each_round_is_trained_on_fits_with_the_model_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs = [str(tmp_path / f"{name}.png") for name in "abc"]
    for seed, path in enumerate(photographs):
        noise = np.random.default_rng(seed).normal(0, 20, (256, 384, 3)).cumsum(1) + 128
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)
    monkeypatch.setattr("sys.argv", ["fits", str(tmp_path), *photographs, "--bpp", "0.1", "--steps", "4"])
    fits()
    figures = tmp_path / "rounds.json"
    command = ["rounds", str(tmp_path), *photographs, "--json", str(figures), "--steps", "4"]
    command += ["--passes", "0.1", "--rounds", "2", "--tuned", "2", "--held"]
    monkeypatch.setattr("sys.argv", [*command, "c"])
    rounds()
    found = json.loads(figures.read_text())
    forms = ("own", "round 1", "round 2", "output 2", "tuned 2", "own again", "own anew")
    assert sorted(found) == sorted(f"{form}, c-0.1" for form in forms)
    assert sorted(path.name for path in (tmp_path / "round 2").iterdir()) == ["a-0.1.quinr", "b-0.1.quinr"]
    moved = {form: found[f"{form}, c-0.1"]["moved"] for form in forms[1:]}
    assert moved["round 1"] == moved["round 2"] == moved["own again"] == moved["own anew"] == 0
    assert found["own again, c-0.1"]["mse"] != found["own anew, c-0.1"]["mse"]
    assert 0 < moved["output 2"] < moved["tuned 2"]
    contexts = [file_sights(tmp_path / "round 2" / f"{name}-0.1.quinr").context for name in "ab"]
    assert np.array_equal(contexts[0].hidden_weight, contexts[1].hidden_weight)
    assert len(capsys.readouterr().out.splitlines()) == 3 + 6

    figures_before = figures.read_bytes()
    rounds()
    assert figures.read_bytes() == figures_before  # nothing is fitted again
    monkeypatch.setattr("sys.argv", [*command, "d"])
    with pytest.raises(SystemExit):
        rounds()
    assert "--held d: no photograph of that name is given" in capsys.readouterr().err
