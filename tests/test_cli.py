from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from processes import COMMAND, completed, read_until, started
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from quinr_pl import cli
from quinr_pl.cli import main
from quinr_pl.codec import decode, encode
from quinr_pl.commands import compress as compress_command
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan

DATA = Path(__file__).parent / "data"
TINY = str(Path(__file__).parent / "conf" / "tiny.yaml")
SMALL_FIT = ["--config", TINY, "--trainer.max_steps", "4"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run happens in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(version: int = 0) -> dict:
    return json.loads(Path(f"runs/tiny/version_{version}/result.json").read_text())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def sample() -> np.ndarray:
    from quinr_pl.datamodules import SampleDataModule

    data = SampleDataModule(longer_side=24)
    data.setup()
    return data.values


def test_fit_leaves_a_file_with_the_figures_it_reports():
    assert main(["fit", "--config", TINY]) == 0
    run = Path("runs/tiny/version_0")
    figures = result()
    encoded = run / "astronaut.quinr"
    assert encoded.stat().st_size == figures["bytes"]
    assert figures["bpp"] == 8 * figures["bytes"] / (24 * 24)
    assert main(["decompress", str(encoded), "-o", "back.png"]) == 0
    assert psnr(np.asarray(Image.open("back.png")), sample()) == pytest.approx(figures["psnr"], abs=1e-9)
    assert {"image", "method", "parameters", "encode_seconds", "decode_seconds", "seed"} <= set(figures)
    assert {"torch", "quinr-pl", "pennylane-lightning"} <= set(figures["versions"])
    assert (run / "config.yaml").is_file()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_tensorboard_gets_curves_pictures_histograms_and_hyperparameters():
    main(["fit", "--config", TINY])
    events = EventAccumulator("runs/tiny/version_0", size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    expected = {"train/loss", "val/psnr", "val/psnr_quantized", "rate/bpp", "rate/bytes", "parity/values"}
    assert expected <= set(tags["scalars"])
    assert {"target", "reconstruction", "error", "circuit"} <= set(tags["images"])
    assert "weights/readout.weight" in tags["histograms"]
    assert "_hparams_/experiment" in events.summary_metadata
    assert events.Scalars("hp/psnr")[0].value == pytest.approx(result()["psnr"], abs=1e-4)
    size, rate = (events.Scalars(tag)[-1].value for tag in ("rate/bytes", "rate/bpp"))
    assert rate == pytest.approx(8 * size / 24**2)
    assert size > result()["bytes"]  # validations quantize more finely than the final file


def test_the_same_seed_gives_the_same_file_and_another_seed_another():
    for _ in range(2):
        main(["fit", *SMALL_FIT])
    main(["fit", *SMALL_FIT, "--seed_everything", "1"])
    first, second, other = (Path(f"runs/tiny/version_{v}/astronaut.quinr").read_bytes() for v in range(3))
    assert first == second
    assert first != other


def test_a_fit_goes_on_in_its_folder():
    main(["fit", *SMALL_FIT])
    assert main(["fit", "--config", TINY, "--ckpt_path", "last", "--trainer.max_steps", "12"]) == 0
    assert not Path("runs/tiny/version_1").exists()
    events = EventAccumulator("runs/tiny/version_0")
    events.Reload()
    assert max(event.step for event in events.Scalars("val/psnr_quantized")) >= 9


def test_a_continued_fit_refuses_other_hyperparameters(capsys):
    main(["fit", *SMALL_FIT])
    assert main(["fit", *SMALL_FIT, "--ckpt_path", "last", "--model.learning_rate", "0.5"]) == 2
    assert "--model.learning_rate 0.5" in capsys.readouterr().err


def test_validate_test_and_predict_take_the_best_checkpoint():
    main(["fit", *SMALL_FIT])
    for command in ("validate", "test", "predict"):
        assert main([command, "--config", TINY, "--ckpt_path", "best"]) == 0
    saved = Path("runs/tiny/version_0/astronaut_reconstruction.png")
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
    assert main(["fit", "--config", TINY, *overrides]) == 0
    assert result()["bytes"] > 0


def test_print_config_shows_what_a_fit_would_use(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", "kodak.yaml", "--data.image", "kodim08", "--print_config"])
    assert stop.value.code == 0
    assert "kodim08" in capsys.readouterr().out


def test_a_users_own_config_wins_over_the_packaged_one(folder):
    (folder / "sample.yaml").write_text(Path(TINY).read_text().replace("name: tiny", "name: mine"))
    assert main(["fit", "--config", "sample.yaml", "--trainer.max_steps", "2"]) == 0
    assert Path("runs/mine/version_0").is_dir()


def write_gray16(path: str) -> np.ndarray:
    values = (np.arange(20 * 12).reshape(20, 12) * 250).astype(np.uint16)
    Image.fromarray(values).save(path)
    return values


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


def test_compress_decompress_and_inspect(capsys):
    values = write_gray16("photo.png")
    fit = ["--config", TINY, "--trainer.max_steps", "4", "--data.steps_per_epoch", "2"]
    assert main(["compress", "photo.png", "-o", "photo.quinr", *fit]) == 0
    assert main(["decompress", "photo.quinr", "-o", "back.png"]) == 0
    back = np.asarray(Image.open("back.png"))
    assert back.shape == values.shape
    assert back.dtype == np.uint16
    capsys.readouterr()
    assert main(["inspect", "photo.quinr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["shape"] == [20, 12, 1]
    assert sum(shown["sections"].values()) == shown["bytes"] == Path("photo.quinr").stat().st_size
    assert main(["inspect", "photo.quinr"]) == 0


def read_values(path: str) -> np.ndarray:
    values = np.load(path) if path.endswith(".npy") else np.asarray(Image.open(path))
    return values.astype(float)


@pytest.mark.parametrize("name", ["quinr_three_stages", "coin_rows_range"])
def test_the_number_of_threads_is_not_seen_in_the_picture(name):
    """Nearly: matrix products of some processors' libraries round by the number of threads."""
    golden = decode((DATA / f"{name}.quinr").read_bytes())
    # Large enough for several blocks and for more than one thread in each.
    spec = replace(golden.spec, height=300, width=401)
    Path("large.quinr").write_bytes(encode(golden.quantized, spec).data)
    pictures = []
    suffix = ".png" if spec.kind.is_image else ".npy"
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            assert main(["decompress", "large.quinr", "-o", f"{threads}{suffix}"]) == 0
            pictures.append(read_values(f"{threads}{suffix}"))
    finally:
        torch.set_num_threads(before)
    for other in pictures[1:]:
        np.testing.assert_allclose(other, pictures[0], atol=1 if spec.kind.is_image else 1e-5 * spec.peak)


def test_compress_to_a_rate():
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    Image.fromarray(pixels).save("noise.png")
    steps = ["--trainer.max_steps", "2", "--data.batch_size", "64", "--data.steps_per_epoch", "2"]
    assert main(["compress", "noise.png", "--bpp", "0.3", *steps]) == 0
    assert 0.285 <= 8 * Path("noise.quinr").stat().st_size / 96**2 <= 0.3


def test_compress_a_scan_with_its_mask_to_a_rate(capsys):
    points = street_scan(0, dropout=0.9)
    points.astype("<f4").tofile("scan.bin")
    shape = ["--data.height", "64", "--data.width=128"]
    steps = ["--trainer.max_steps", "2", "--data.batch_size", "64", "--data.steps_per_epoch", "2"]
    assert main(["compress", "scan.bin", "--bpp", "1.0", *shape, *steps]) == 0
    assert 0.95 <= 8 * Path("scan.quinr").stat().st_size / (64 * 128) <= 1.0
    _, valid = project(points, Projection(width=128))
    assert main(["decompress", "scan.quinr", "-o", "scan.npy"]) == 0
    assert (np.load("scan.npy")[~valid] == 0).all()
    capsys.readouterr()
    assert main(["inspect", "scan.quinr", "--json"]) == 0
    mask = json.loads(capsys.readouterr().out)["sections"]["mask"]
    assert mask > 100
    assert main(["compress", "scan.bin", "--bpp", "0.2", *shape, *steps]) == 2
    assert f"too few for the mask's {mask + 3} and a network's 120" in capsys.readouterr().err
    assert main(["compress", "scan.bin", "--bpp", "0.2", *shape, *steps, "--data.mask", "false"]) == 0
    assert 0.19 <= 8 * Path("scan.quinr").stat().st_size / (64 * 128) <= 0.2


def test_compress_to_a_quality(capsys, monkeypatch):
    monkeypatch.setattr(compress_command, "_PSNR_TRIES", 2)
    rows, columns = np.mgrid[:48, :64] / 64
    pixels = np.rint(255 * (0.5 + 0.4 * np.sin(5 * rows) * np.cos(4 * columns))).astype(np.uint8)
    Image.fromarray(pixels).save("waves.png")
    steps = ["--trainer.max_steps", "60", "--data.batch_size", "512", "--data.steps_per_epoch", "60"]
    steps += ["--model.warmup_steps", "5", "--model.learning_rate", "1e-2"]
    assert main(["compress", "waves.png", "--psnr", "15", *steps]) == 0
    assert "try 1" in capsys.readouterr().out
    assert main(["decompress", "waves.quinr", "-o", "back.png"]) == 0
    error = np.asarray(Image.open("back.png")).astype(float) - pixels
    assert 10 * np.log10(255**2 / np.mean(error**2)) >= 15


def test_a_quality_out_of_reach(capsys, monkeypatch):
    pixels = np.load(DATA / "quinr_three_stages.npy")
    Image.fromarray(255 - pixels).save("negative.png")
    tries = []
    data = (DATA / "quinr_three_stages.quinr").read_bytes()
    sized = compress_command._rate_overrides
    monkeypatch.setattr(
        compress_command, "_rate_overrides", lambda *args: tries.append(args[-1]) or sized(*args)
    )
    monkeypatch.setattr(compress_command, "_fit_file", lambda *_: data)
    assert main(["compress", "negative.png", "-o", "x.quinr", "--psnr", "30"]) == 2
    assert "--psnr 30.0: " in capsys.readouterr().err
    assert tries == sorted(set(tries))
    assert max(tries) <= max(120, 2 * pixels.shape[0] * pixels.shape[1] / 8)
    assert not Path("x.quinr").exists()


def test_interrupted_compress_leaves_nothing(folder):
    rows, columns = np.mgrid[:64, :64]
    Image.fromarray((rows * columns % 256).astype(np.uint8)).save("pattern.png")
    Path("pattern.quinr").write_bytes(b"an earlier file")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    command = [*COMMAND, "compress", "pattern.png", "--config", TINY, "--trainer.max_steps", "1000000"]
    with started(command) as process:
        read_until(process, "step ")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_an_array_keeps_its_floats():
    values = np.linspace(-3, 7, 48, dtype=np.float32).reshape(6, 8)
    np.save("field.npy", values)
    assert main(["compress", "field.npy", *SMALL_FIT]) == 0
    assert main(["decompress", "field.quinr"]) == 0
    back = np.load("field.npy")
    assert back.dtype == np.float32
    assert back.min() >= -3
    assert back.max() <= 7


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
        (["compress", "text.png", "--bpp", "-1"], "text.png"),
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
        "import sys, quinr_pl.cli as c; c.main(['--help']); c.main(['--version']); "
        "assert not {'torch', 'numpy', 'pennylane', 'jsonargparse'} & set(sys.modules), sys.modules"
    )
    done = completed([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    assert re.search(r"quinr-pl \d+\.\d+", done.stdout)
    assert "decompress" in done.stdout


def test_a_fit_interrupted_after_its_last_step_is_finished_by_continuing_it():
    main(["fit", *SMALL_FIT])
    finished = result()
    Path("runs/tiny/version_0/result.json").unlink()
    assert main(["fit", *SMALL_FIT, "--ckpt_path", "last"]) == 0
    assert result()["psnr"] == finished["psnr"]
    assert result()["bytes"] == finished["bytes"]
