"""Searches for the best PSNR at every number of bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from quinr_pl.commands.main import main
from quinr_pl.configs.find import packaged_config
from quinr_pl.experiments.fit_configs import read_fit_config
from quinr_pl.experiments.search_config import FrontSettings, Search
from quinr_pl.experiments.search_front import BestFront, below_front

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

TINY = """
folder: {folder}
base: sample.yaml
trials: 5
workers: 1
startup: 5
front:
  population: 2
  anchors: {{JPEG 2000: {{kind: jpeg2000, points: [4, 8]}}}}
fit:
  model:
    warmup_steps: 0
    network: {{init_args: {{qubits: 2, angles: 4, sine_layers: 2, sine_width: 4}}}}
  quantization: {{method: nearest, bits: 6}}
  data: {{init_args: {{longer_side: 16, batch_size: 64, steps_per_epoch: 3}}}}
short:
  trainer: {{max_steps: 6}}
  quantization: {{bits: 4}} # what is searched counts
space:
  model.network.init_args.uploads: {{low: 1, high: 3}}
  quantization.bits: {{low: 3, high: 6}}
"""


def searched(root: Path, name: str, *flags: str) -> Path:
    """Folder of a search from the command line."""
    config = root / "tiny.yaml"
    config.write_text(TINY.format(folder=root / name))
    assert main(["search", "--config", str(config), *flags]) == 0
    return root / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("front"), "runs")


def trials(folder: Path) -> dict[int, tuple[int, float]]:
    """Bytes and PSNR of each trial, from its own folder."""
    found = {}
    for path in folder.glob("trial_*/result.json"):
        result = json.loads(path.read_text())
        size = (path.parent / f"{result['image']}.quinr").stat().st_size
        found[int(path.parent.name.removeprefix("trial_"))] = size, result["psnr"]
    return found


@pytest.mark.slow
def test_no_file_beats_those_of_the_front(folder):
    found, files = json.loads((folder / "front.json").read_text()), trials(folder)
    rows = found["front"] + found["others"]
    assert {row["trial"] for row in rows} == files.keys()
    assert all((row["bytes"], row["psnr"]) == files[row["trial"]] for row in rows)
    unbeaten = {
        (size, psnr)
        for size, psnr in files.values()
        if not any(s <= size and p >= psnr and (s, p) != (size, psnr) for s, p in files.values())
    }
    assert [(row["bytes"], row["psnr"]) for row in found["front"]] == sorted(unbeaten)
    for row in rows:
        config = yaml.safe_load((folder / f"trial_{row['trial']}" / "fit.yaml").read_text())
        assert config["quantization"]["bits"] == row["settings"]["quantization.bits"]
    assert len(found["anchors"]["JPEG 2000"]) == 2
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_points_of_the_front_are_fitted_in_full(folder):
    base = read_fit_config(str(packaged_config("sample.yaml")))
    found = json.loads((folder / "front.json").read_text())["front"]
    assert {path.name for path in (folder / "front").iterdir()} == {
        f"{row['bytes']}_bytes.yaml" for row in found
    }
    for row in found:
        config = yaml.safe_load((folder / "front" / f"{row['bytes']}_bytes.yaml").read_text())
        assert config["trainer"] == base["trainer"]
        uploads = config["model"]["network"]["init_args"]["uploads"]
        assert uploads == row["settings"]["model.network.init_args.uploads"]


@pytest.mark.slow
def test_later_trials_begin_with_weights_of_a_parent(folder):
    found = json.loads((folder / "front.json").read_text())
    rows = sorted(found["front"] + found["others"], key=lambda row: row["trial"])
    assert all("parent" not in row for row in rows[:2])
    for row in rows[2:]:
        parent = next(other for other in rows if other["trial"] == row["parent"])
        uploads = "model.network.init_args.uploads"
        same = parent["settings"][uploads] == row["settings"][uploads]
        assert row["inherited"] == 1 if same else 0 < row["inherited"] < 1
        fitted = (folder / f"trial_{row['trial']}" / "fit.yaml").read_text()
        assert f"trial_{row['parent']}/astronaut.quinr" in fitted


@pytest.mark.slow
def test_a_killed_search_ends_with_the_same_front(folder, tmp_path, one_thread):
    killed = searched(tmp_path, "killed", "--trials", "3")
    storage = optuna.storages.RDBStorage(f"sqlite:///{killed / 'study.db'}")
    optuna.load_study(study_name="killed", storage=storage).ask()  # what a killed trial leaves
    storage.engine.dispose()
    searched(tmp_path, "killed")
    fronts = [
        [
            {name: value for name, value in row.items() if name not in ("trial", "parent")}
            for row in json.loads((path / "front.json").read_text())["front"]
        ]
        for path in (folder, killed)
    ]
    assert fronts[0] == fronts[1]
    for path in (folder / "front").iterdir():
        assert (killed / "front" / path.name).read_bytes() == path.read_bytes()
    files = [sorted(path.read_bytes() for path in root.rglob("*.quinr")) for root in (folder, killed)]
    assert files[0] == files[1]


@pytest.mark.slow
def test_a_trial_whose_parent_has_no_file_here_begins_on_its_own(tmp_path):
    first = searched(tmp_path, "runs", "--trials", "2")
    for path in first.rglob("*.quinr"):
        path.unlink()
    searched(tmp_path, "runs", "--trials", "3")
    found = json.loads((first / "front.json").read_text())
    (last,) = [row for row in found["front"] + found["others"] if row["trial"] == 2]
    assert "parent" not in last
    assert (first / "trial_2" / "astronaut.quinr").is_file()


def test_distance_below_the_front():
    others = [(100, 20.0), (200, 25.0), (300, 24.0)]
    assert below_front((250, 23.0), others) == 2.0
    assert below_front((100, 21.0), others) == -1.0
    assert below_front((99, 1.0), others) < -1e9


def test_trials_that_fall_behind_are_pruned():
    settings = Search("", "", {}, {}, {}, front=FrontSettings(), startup=3)
    goal = BestFront(settings, FrontSettings())
    study = optuna.create_study(directions=goal.directions, pruner=goal.pruner())

    def behind(size: int, psnr: float) -> bool:
        measured = SimpleNamespace(encoded=SimpleNamespace(data=bytes(size)), psnr=psnr)
        return goal.falls_behind(study.ask(), 50, measured, 0.0)

    def ended(size: int, psnr: float) -> None:
        course = {"course": {"50": (size, psnr)}}
        study.add_trial(optuna.trial.create_trial(values=(size, psnr), user_attrs=course))

    ended(100, 20.0)
    ended(200, 25.0)
    assert not behind(150, 1.0)  # too few whole trials to judge by
    ended(210, 24.0)
    assert behind(150, 19.9)  # most of them are on the front
    assert not behind(150, 20.1)
    assert not behind(99, 1.0)


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        ("front: {population: 1}", [], "front: population 1: must be a whole number of at least 2"),
        ("front: {size: 3}", [], "front: unknown key size; there are anchors, inherit, population"),
        ("front: {anchors: {J: {kind: jpeg2001, points: [1]}}}", [], "jpeg2001"),
        ("trials: 5", ["--bytes", "300"], "--bytes 300: a front has files of all sizes; leave it out"),
    ],
)
def test_bad_fronts(tmp_path, capsys, change, flags, message):
    tree = yaml.safe_load(TINY.format(folder=tmp_path / "runs")) | yaml.safe_load(change)
    config = tmp_path / "bad.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert main(["search", "--config", str(config), *flags]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
