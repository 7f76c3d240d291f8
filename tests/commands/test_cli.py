from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from fits import QUICK, QUICK_TINY, TINY
from PIL import Image
from processes import COMMAND, completed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from quinr_pl.commands import main as cli
from quinr_pl.commands.main import main

DATA = Path(__file__).parents[1] / "data"
SMALL_FIT = [*QUICK_TINY, "--trainer.max_steps", "4"]


RUN = Path("runs/tiny/version_0")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run happens in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small_fit(folder, quick_fit):
    """The folder, as a fit of four steps leaves it."""
    shutil.copytree(quick_fit, folder, dirs_exist_ok=True)


def result(folder: Path = Path()) -> dict:
    return json.loads((folder / RUN / "result.json").read_text())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def sample() -> np.ndarray:
    from quinr_pl.datamodules import SampleDataModule

    data = SampleDataModule(longer_side=24)
    data.setup()
    return data.values


def test_fit_leaves_a_file_with_the_figures_it_reports(tiny_fit):
    run, figures = tiny_fit / RUN, result(tiny_fit)
    encoded = run / "astronaut.quinr"
    assert encoded.stat().st_size == figures["bytes"]
    assert figures["bpp"] == 8 * figures["bytes"] / (24 * 24)
    assert main(["decompress", str(encoded), "-o", "back.png"]) == 0
    assert psnr(np.asarray(Image.open("back.png")), sample()) == pytest.approx(figures["psnr"], abs=1e-9)
    assert {"image", "method", "parameters", "encode_seconds", "decode_seconds", "seed"} <= set(figures)
    assert {"torch", "quinr-pl", "pennylane-lightning"} <= set(figures["versions"])
    assert (run / "config.yaml").is_file()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_tensorboard_gets_curves_pictures_histograms_and_hyperparameters(tiny_fit):
    events = EventAccumulator(str(tiny_fit / RUN), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    expected = {"train/loss", "val/psnr", "val/psnr_quantized", "rate/bpp", "rate/bytes", "parity/values"}
    assert expected <= set(tags["scalars"])
    assert {"target", "reconstruction", "error", "circuit"} <= set(tags["images"])
    assert "weights/readout.weight" in tags["histograms"]
    assert "_hparams_/experiment" in events.summary_metadata
    assert events.Scalars("hp/psnr")[0].value == pytest.approx(result(tiny_fit)["psnr"], abs=1e-4)
    size, rate = (events.Scalars(tag)[-1].value for tag in ("rate/bytes", "rate/bpp"))
    assert rate == pytest.approx(8 * size / 24**2)
    assert size > result(tiny_fit)["bytes"]  # validations quantize more finely than the final file


def test_the_same_seed_gives_the_same_file_and_another_seed_another(small_fit):
    main(["fit", *SMALL_FIT])
    main(["fit", *SMALL_FIT, "--seed_everything", "1"])
    first, second, other = (Path(f"runs/tiny/version_{v}/astronaut.quinr").read_bytes() for v in range(3))
    assert first == second
    assert first != other


def test_a_fit_goes_on_in_its_folder(small_fit):
    assert main(["fit", *QUICK_TINY, "--ckpt_path", "last", "--trainer.max_steps", "12"]) == 0
    assert not Path("runs/tiny/version_1").exists()
    events = EventAccumulator(str(RUN))
    events.Reload()
    assert max(event.step for event in events.Scalars("val/psnr_quantized")) >= 9


def test_a_continued_fit_refuses_other_hyperparameters(small_fit, capsys):
    assert main(["fit", *SMALL_FIT, "--ckpt_path", "last", "--model.learning_rate", "0.5"]) == 2
    assert "--model.learning_rate 0.5" in capsys.readouterr().err


def test_validate_test_and_predict_take_the_best_checkpoint(folder, tiny_fit):
    shutil.copytree(tiny_fit, folder, dirs_exist_ok=True)
    for command in ("validate", "test", "predict"):
        assert main([command, "--config", TINY, "--ckpt_path", "best"]) == 0
    saved = RUN / "astronaut_reconstruction.png"
    assert np.asarray(Image.open(saved)).shape == (24, 24, 3)


@pytest.mark.parametrize(
    "overrides",
    [
        ["--model.network.engine", "lightning", "--trainer.max_steps", "2", "--data.batch_size", "8"],
        ["--model.network.engine", "torch", "--trainer.max_steps", "2"],
        ["--model.network", "COIN", "--model.network.width", "6", "--trainer.max_steps", "2"],
        ["--trainer.callbacks+=LearningRateMonitor", "--trainer.max_steps", "2"],
        ["--model.network.qubits", "3", "--data.image", "coffee", "--trainer.max_steps", "2"],
    ],
)
def test_overrides(overrides):
    assert main(["fit", *QUICK_TINY, *overrides]) == 0
    assert result()["bytes"] > 0


def test_print_config_shows_what_a_fit_would_use(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", "kodak.yaml", "--data.image", "kodim08", "--print_config"])
    assert stop.value.code == 0
    assert "kodim08" in capsys.readouterr().out


def test_a_users_own_config_wins_over_the_packaged_one(folder):
    (folder / "sample.yaml").write_text(Path(TINY).read_text().replace("name: tiny", "name: mine"))
    assert main(["fit", "--config", "sample.yaml", *QUICK, "--trainer.max_steps", "2"]) == 0
    assert Path("runs/mine/version_0").is_dir()


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [*COMMAND, "inspect", str(DATA / "coin_array.quinr")]
    reading, writing = os.pipe()
    os.close(reading)
    done = completed(command, stdout=writing)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def test_another_broken_pipe_is_not_hidden(monkeypatch):
    def broken(args):
        raise BrokenPipeError("a worker's")

    monkeypatch.setitem(cli.COMMANDS, "inspect", (broken, ""))
    with pytest.raises(BrokenPipeError, match="a worker's"):
        main(["inspect"])


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["fit", "--config", TINY, "--model.network.engine", "abacus"], "abacus"),
        (["fit", "--config", TINY, "--model.network.qubits", "0"], "qubits"),
        (["fit", "--config", TINY, "--model.network.qubits", "many"], "many"),
        (["fit", "--config", TINY, "--data.image", "mona_lisa"], "mona_lisa"),
        (["fit", "--config", TINY, "--no.such.key", "1"], "no.such.key"),
        (["fit", "--config", "unknown_key.yaml"], "colour"),
        (["fit", "--config", TINY, "--ckpt_path", "last"], "ckpt_path"),
        (["fit", "--config", TINY, "--ckpt_path", "unknown_key.yaml"], "unknown_key.yaml"),
        (["fit", "--config", "kodak.yaml", "--data.image", "kodim25"], "kodim25"),
        (["compress", "text.png", "-o", "x.quinr", *SMALL_FIT], "text.png"),
        (["compress", "nothing.png", "-o", "x.quinr", *SMALL_FIT], "nothing.png"),
        (["compress", "text.png", "--bpp", "-1"], "--bpp -1"),
        (["compress", "odd.bin", "-o", "x.quinr", *SMALL_FIT], "odd.bin"),
        (["compress", "text.png", "-o", "no/x.quinr", *SMALL_FIT], "no/x.quinr"),
        (["decompress", "text.png", "-o", "x.png"], "text.png"),
        (["decompress", "missing.quinr"], "missing.quinr"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(args, named, capsys, folder):
    Path("text.png").write_text("no picture")
    Path("odd.bin").write_bytes(b"12345")
    Path("unknown_key.yaml").write_text("model:\n  colour: red\n")
    before = set(folder.iterdir())
    capsys.readouterr()
    assert main(args) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("quinr-pl: error:")]
    assert len(errors) == 1
    assert named in errors[0]
    assert set(folder.iterdir()) - before <= {folder / "runs"}
    assert not list(folder.rglob("*.quinr"))


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys, quinr_pl.commands.main as c; c.main(['--help']); c.main(['--version']); "
        "assert not {'torch', 'numpy', 'pennylane', 'jsonargparse'} & set(sys.modules), sys.modules"
    )
    done = completed([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    assert re.search(r"quinr-pl \d+\.\d+", done.stdout)
    assert "decompress" in done.stdout


def test_a_fit_interrupted_after_its_last_step_is_finished_by_continuing_it(small_fit):
    finished = result()
    (RUN / "result.json").unlink()
    assert main(["fit", *SMALL_FIT, "--ckpt_path", "last"]) == 0
    assert result()["psnr"] == finished["psnr"]
    assert result()["bytes"] == finished["bytes"]
