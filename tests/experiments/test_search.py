from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from quinr_pl.commands.main import main
from quinr_pl.configs.find import packaged_config
from quinr_pl.experiments.fit_configs import read_fit_config
from quinr_pl.network import NETWORKS

pytest.importorskip("optuna", reason="Optuna is not installed")

TINY = """
folder: {folder}
base: sample.yaml
bytes: 300
trials: 4
workers: 1
startup: 4
fit:
  model: {{network: {{init_args: {{qubits: 2, angles: 4, uploads: 2, sine_layers: 1, sine_width: 4}}}}}}
  data: {{init_args: {{longer_side: 16, batch_size: 64, steps_per_epoch: 3}}}}
short:
  trainer: {{max_steps: 6}}
space:
  model.learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  model.network.init_args.uploads: {{low: 1, high: 2}}
  model.network.init_args.stage_norm: {{choices: [scaled, centred]}}
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that has run from the command line."""
    root = tmp_path_factory.mktemp("search")
    config = root / "tiny.yaml"
    config.write_text(TINY.format(folder=root / "runs"))
    assert main(["search", "--config", str(config)]) == 0
    return config, root / "runs"


def results(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trial_*/result.json"))]


def test_best_is_the_best_of_files_that_are_small_enough(searched):
    _, folder = searched
    found = results(folder)
    assert len(found) == 4
    assert all(result["bytes"] <= 300 for result in found)
    best = yaml.safe_load((folder / "best.yaml").read_text())
    network = best["model"]["network"]["init_args"]
    assert network["qubits"] == 2
    assert 1e-3 <= best["model"]["learning_rate"] <= 1e-2
    top = max(found, key=lambda result: result["psnr"])
    trials = [path.parent for path in folder.glob("trial_*/result.json")]
    (winner,) = [path for path in trials if json.loads((path / "result.json").read_text()) == top]
    fitted = yaml.safe_load((winner / "fit.yaml").read_text())
    assert fitted["model"] == best["model"]
    assert (folder / "history.png").read_bytes().startswith(b"\x89PNG")


def test_best_config_is_the_base_in_full(searched):
    _, folder = searched
    best, base = (
        read_fit_config(path) for path in (str(folder / "best.yaml"), str(packaged_config("sample.yaml")))
    )
    assert best["trainer"] == base["trainer"]
    changed = {"longer_side": 16, "batch_size": 64, "steps_per_epoch": 3}
    assert best["data"]["init_args"] == base["data"]["init_args"] | changed


def test_best_config_makes_the_winning_file_again(searched, tmp_path, one_thread):
    _, folder = searched
    arguments = ["--trainer.logger", "false", "--trainer.default_root_dir", str(tmp_path)]
    short = ["--trainer.max_steps", "6"]
    assert main(["fit", "--config", str(folder / "best.yaml"), *arguments, *short]) == 0
    again = json.loads((tmp_path / "result.json").read_text())
    assert again["psnr"] == max(result["psnr"] for result in results(folder))


@pytest.mark.slow
def test_goes_on_and_counts_what_is_done(searched, capsys):
    config, folder = searched
    assert main(["search", "--config", str(config)]) == 0
    assert "4 of 4 trials have ended already" in capsys.readouterr().out
    assert len(results(folder)) == 4
    assert main(["search", "--config", str(config), "--trials", "5", "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    assert "trial 4: " in printed
    assert "best of " in printed


@pytest.mark.slow
def test_a_killed_search_ends_with_the_same_best(tmp_path):
    import optuna

    config = tmp_path / "tiny.yaml"
    config.write_text(TINY.format(folder=tmp_path / "whole"))
    arguments = ["search", "--config", str(config), "--workers", "1"]
    assert main([*arguments, "--trials", "2"]) == 0
    killed = [*arguments, "--folder", str(tmp_path / "killed")]
    assert main([*killed, "--trials", "1"]) == 0
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'killed' / 'study.db'}")
    optuna.load_study(study_name="killed", storage=storage).ask()  # what a killed trial leaves
    storage.engine.dispose()
    (tmp_path / "killed" / "trial_1").mkdir()
    (tmp_path / "killed" / "trial_1" / "result.json").write_text('{"psnr": 99')
    assert main([*killed, "--trials", "2"]) == 0
    assert (tmp_path / "killed/best.yaml").read_bytes() == (tmp_path / "whole/best.yaml").read_bytes()
    files = [
        sorted(path.read_bytes() for path in (tmp_path / f).rglob("*.quinr")) for f in ("killed", "whole")
    ]
    assert files[0] == files[1]
    assert not (tmp_path / "killed" / "trial_1").exists()


OWN = """
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.network import COIN, NETWORKS

class KodakDataModule(SampleDataModule):
    pass

class Sines(COIN):
    CODE = 78

NETWORKS.register(78, Sines)
"""


@pytest.mark.slow
def test_classes_of_a_users_own(tmp_path, monkeypatch):
    (tmp_path / "searched_lab.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(NETWORKS, "_loaded", dict(NETWORKS._loaded))
    tree = yaml.safe_load(TINY.format(folder=tmp_path / "runs")) | {"trials": 1}
    tree["fit"]["data"]["class_path"] = "searched_lab.KodakDataModule"  # not ours of that name
    tree["fit"]["data"]["init_args"]["image"] = "coffee"
    tree["fit"]["model"]["network"] = {"class_path": "searched_lab.Sines", "init_args": {"layers": 2}}
    tree["space"] = {"model.network.init_args.width": {"low": 3, "high": 5}}
    config = tmp_path / "own.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert main(["search", "--config", str(config)]) == 0
    (result,) = results(tmp_path / "runs")
    assert (result["image"], result["method"]) == ("coffee", "Sines")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trials: 0", "changed.yaml: trials 0: must be a whole number of at least 1"),
        ("trials: many", "trials many: must be a whole number"),
        ("bytes: 2.5", "bytes 2.5: must be a whole number of at least 120"),
        ("seed: -1", "seed -1: must be a whole number from 0 to 4294967295"),
        ("front: {population: 1}", "front: population 1: must be a whole number of at least 2"),
        ("speed: 3", "unknown key speed; there are base, bytes, fit, folder"),
        ("space: {model.learning_rate: {low: 2, high: 1}}", "space model.learning_rate: .* give {low, high"),
        ("space: {model.learning_rate: {low: 0, high: 1, log: true}}", "space model.learning_rate"),
        ("space: {model.learning_rate: 3}", "space model.learning_rate: 3; give"),
        ("fit: 3", "fit 3: must be a mapping"),
        ("bytes: 200", "the study there searched with another bytes; give another --folder"),
        ("base: no.yaml", "no.yaml: no such file"),
    ],
)
def test_bad_configs(searched, capsys, tmp_path, change, message):
    config, _ = searched
    tree = yaml.safe_load(config.read_text()) | yaml.safe_load(change)
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(tree))
    assert main(["search", "--config", str(changed)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_bad_storage(searched, capsys):
    config, _ = searched
    assert main(["search", "--config", str(config), "--storage", "nosql://x"]) == 2
    assert "--storage nosql://x: no database that Optuna can use" in capsys.readouterr().err


@pytest.mark.slow
def test_failed_trials_are_told_and_do_not_stop_the_rest(tmp_path, capsys):
    tree = yaml.safe_load(TINY.format(folder=tmp_path / "runs")) | {"trials": 2, "workers": 1}
    tree["space"] = {"model.network.init_args.omega0": {"choices": [-1.0]}}
    config = tmp_path / "bad.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert main(["search", "--config", str(config)]) == 1
    printed = capsys.readouterr().out
    assert "FAILED: " in printed
    assert "no trial ended well" in printed
