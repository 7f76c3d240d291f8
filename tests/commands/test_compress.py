from __future__ import annotations

import io
import json
import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from processes import COMMAND, read_until, started

from quinr_pl.codec import decompress
from quinr_pl.commands import kept_run, rate
from quinr_pl.commands.arguments import OneLineArgumentParser, joined_values
from quinr_pl.commands.main import main
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.fitting import FitResult
from quinr_pl.module import CoordinateNetworkModule

DATA = Path(__file__).parents[1] / "data"
TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")
TINY_LATENT = str(Path(__file__).parents[1] / "conf" / "tiny_latent.yaml")
QUICK = ["--config", str(Path(__file__).parents[1] / "conf" / "quick_callbacks.yaml")]
SMALL_FIT = ["--config", TINY, *QUICK, "--trainer.max_steps", "4"]
FEW_STEPS = [
    "--config",
    "compress.yaml",
    *QUICK,
    "--trainer.max_steps",
    "2",
    "--data.batch_size",
    "64",
    "--data.steps_per_epoch",
    "2",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run happens in a folder of its own, and keeps what it keeps in another."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(kept_run, "cache_root", lambda: tmp_path / "cache")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under nohup
    yield here
    signal.signal(signal.SIGINT, before)  # Lightning ignores it once it was interrupted


def kept(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "compress").glob("*"))


def write_gray(name: str, height: int = 20, width: int = 12) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    Image.fromarray(values).save(name, format="png")
    return values


def error_lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("quinr-pl: error:")]


def no_fit(monkeypatch):
    """Makes a fit an error: what is tested must be found before."""

    def fit(*args, **names):
        raise AssertionError("a fit was started")

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)


def test_an_existing_output_is_replaced_only_when_asked_to(folder, capsys, monkeypatch):
    write_gray("photo.png")
    Path("photo.quinr").write_bytes(b"an earlier file")
    with monkeypatch.context() as patch:
        no_fit(patch)
        for output in ([], ["-o", "photo.quinr"], ["-o", "../here/photo.quinr"]):
            assert main(["compress", "photo.png", *output, *SMALL_FIT]) == 2
            assert "photo.quinr: exists" in error_lines(capsys)[0]
    assert Path("photo.quinr").read_bytes() == b"an earlier file"
    assert main(["compress", "photo.png", "--overwrite", *SMALL_FIT]) == 0
    assert decompress(Path("photo.quinr").read_bytes()).shape == (20, 12, 1)
    assert kept(folder) == []


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link", "other path"])
def test_the_input_is_never_the_output(kind, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_gray("photo.png")
    output = {"itself": "photo.png", "other path": "../here/./photo.png"}.get(kind, "link.quinr")
    if kind == "symbolic link":
        os.symlink("photo.png", output)
    if kind == "hard link":
        os.link("photo.png", output)
    before = Path("photo.png").read_bytes()
    for overwrite in ([], ["--overwrite"]):
        assert main(["compress", "photo.png", "-o", output, *overwrite, *SMALL_FIT]) == 2
        assert "is the input itself" in error_lines(capsys)[0]
    assert Path("photo.png").read_bytes() == before


@pytest.mark.parametrize(
    "output",
    ["folder", "folder/", "new/", "missing/x.quinr", "photo.png/x.quinr", "x\0.quinr", "", "n" * 300],
)
def test_a_bad_output_is_found_before_the_fit(output, folder, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_gray("photo.png")
    Path("folder").mkdir()
    before = sorted(folder.rglob("*"))
    for overwrite in ([], ["--overwrite"]):
        assert main(["compress", "photo.png", "-o", output, *overwrite]) == 2
        (line,) = error_lines(capsys)
        assert repr(output)[1:-1][:20] in line
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", [".", "", "missing.png", "photo.png/x.png", "x\0.png", "empty.png"])
def test_a_bad_input_is_one_line(name, folder, capsys):
    write_gray("photo.png")
    Path("empty.png").touch()
    assert main(["compress", name, "-o", "x.quinr", *SMALL_FIT]) == 2
    assert len(error_lines(capsys)) == 1
    assert not Path("x.quinr").exists()
    assert kept(folder) == []


@pytest.mark.parametrize("name", ["~x.png", "-x.png", "null", "a: {b}.png", "%s.png", "n" * 246 + ".png"])
def test_odd_names(name, capsys):
    values = write_gray(name)
    assert main(["compress", *SMALL_FIT, "-o", "x.quinr", "--", name]) == 0
    assert decompress(Path("x.quinr").read_bytes()).shape == (*values.shape, 1)


def test_names_that_the_terminal_cannot_print(monkeypatch):
    try:
        write_gray("photo.png")
        name = os.fsdecode(b"\xff\xe4.quinr")
        Path(name).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    Path(name).unlink()
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["compress", "photo.png", "-o", name, *SMALL_FIT]) == 0
    assert stream.buffer.getvalue().splitlines()[-1] == rb"\udcff\udce4.quinr"
    assert Path(name).is_file()


def test_links_are_followed_and_pipes_written_to(folder):
    write_gray("photo.png")
    Path("elsewhere").mkdir()
    os.symlink("elsewhere/real.quinr", "link.quinr")
    assert main(["compress", "photo.png", "-o", "link.quinr", *SMALL_FIT]) == 0
    assert Path("link.quinr").is_symlink()
    expected = Path("elsewhere/real.quinr").read_bytes()
    os.mkfifo("pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    assert main(["compress", "photo.png", "-o", "pipe", *SMALL_FIT]) == 0
    reader.join(timeout=10)
    assert received == [expected]
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


class StandardStream:
    """Standard input or output of bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        pass


def test_standard_input_and_output(monkeypatch, capsys):
    values = write_gray("photo.png")
    assert main(["compress", "photo.png", "-o", "named.quinr", *SMALL_FIT]) == 0
    capsys.readouterr()
    np.save("array.npy", values)
    for data in ("photo.png", "array.npy"):
        source, target = StandardStream(Path(data).read_bytes()), StandardStream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", source)
            patch.setattr(sys, "stdout", target)
            assert main(["compress", "-", *SMALL_FIT]) == 0
        assert target.buffer.getvalue() == Path("named.quinr").read_bytes()
        assert capsys.readouterr().out == ""


def test_what_standard_input_holds_is_refused_by_that_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", StandardStream(b"neither picture nor array"))
    assert main(["compress", "-", "-o", "x.quinr", *SMALL_FIT]) == 2
    (line,) = error_lines(capsys)
    assert "standard input: " in line
    assert "/input" not in line


def test_no_binary_file_goes_to_a_terminal(monkeypatch, capsys):
    no_fit(monkeypatch)
    write_gray("photo.png")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["compress", "photo.png", "-o", "-"]) == 2
    assert "terminal" in error_lines(capsys)[0]


def interrupted_at(call: int, monkeypatch):
    """Interrupts a fit at one of its steps, counted from 1."""
    step, calls = CoordinateNetworkModule.training_step, [0]

    def interrupting(self, batch, batch_index):
        calls[0] += 1
        if calls[0] == call:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_index)

    monkeypatch.setattr(CoordinateNetworkModule, "training_step", interrupting)
    return calls


@pytest.mark.parametrize(
    ("config", "steps", "at"),
    [
        (TINY, 10, 8),
        pytest.param(TINY, 10, 3, marks=pytest.mark.slow),
        pytest.param(TINY_LATENT, 40, 31, marks=pytest.mark.slow),
    ],
    ids=lambda value: Path(str(value)).stem,
)
def test_an_interrupted_compress_goes_on_and_ends_in_the_same_bytes(
    config, steps, at, folder, monkeypatch, capsys
):
    write_gray("photo.png", 32, 40)
    fit = ["--config", config, *QUICK, "--trainer.max_steps", str(steps)]
    assert main(["compress", "photo.png", "-o", "whole.quinr", *fit]) == 0
    command = ["compress", "photo.png", "-o", "again.quinr", *fit]
    with monkeypatch.context() as patch:
        interrupted_at(at, patch)
        assert main(command) == 130
    shown = capsys.readouterr().err
    assert "run the same command again to go on" in shown
    assert "ckpt_path" not in shown
    assert sorted(path.name for path in folder.iterdir()) == ["photo.png", "whole.quinr"]
    assert len(kept(folder)) == 1
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(command) == 0
    assert calls[0] < steps
    assert Path("again.quinr").read_bytes() == Path("whole.quinr").read_bytes()
    assert kept(folder) == []


def test_an_interruption_goes_on_only_with_the_same_input_and_settings(folder, monkeypatch):
    write_gray("photo.png")
    with monkeypatch.context() as patch:
        interrupted_at(3, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    (left,) = kept(folder)
    write_gray("other.png", 21)
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(["compress", "other.png", *SMALL_FIT]) == 0
        assert main(["compress", "photo.png", "-o", "x.quinr", *SMALL_FIT, "--seed_everything", "1"]) == 0
    assert calls[0] == 8
    assert kept(folder) == [left]


def test_an_interruption_before_there_is_anything_to_keep_leaves_nothing(folder, monkeypatch, capsys):
    write_gray("photo.png")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("quinr_pl.datamodules.ImageDataModule.read", interrupted)
    assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    assert "same command" not in capsys.readouterr().err
    assert kept(folder) == []


def test_a_damaged_checkpoint_is_not_gone_on_with(folder, monkeypatch):
    write_gray("photo.png")
    with monkeypatch.context() as patch:
        interrupted_at(3, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    (left,) = kept(folder)
    for checkpoint in left.rglob("*.ckpt"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert main(["compress", "photo.png", *SMALL_FIT]) == 0
    assert kept(folder) == []


def test_a_finished_fit_is_not_lost_with_its_output(folder, monkeypatch, capsys):
    write_gray("photo.png")

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("quinr_pl.commands.output_file.write_bytes", full)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 2
        assert "No space left on device" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 0
    assert calls[0] == 0
    assert kept(folder) == []


def test_processes_with_the_same_work_have_folders_of_their_own():
    with kept_run.kept_run("key") as first, kept_run.kept_run("key") as second:
        assert first.folder != second.folder
        (first.folder / "last.ckpt").touch()
    with kept_run.kept_run("key") as third:
        assert third.folder == first.folder
        assert (third.folder / "last.ckpt").exists()
        third.finished = True
    assert not first.folder.exists()


def test_what_nobody_goes_on_with_is_removed_after_a_month(folder):
    for age in (1, 40):
        with kept_run.kept_run(f"days{age}") as run:
            (run.folder / "last.ckpt").touch()
        then = time.time() - age * 24 * 3600
        os.utime(run.folder / ".lock", (then, then))
    with kept_run.kept_run("another") as run:
        run.finished = True
    assert [path.name for path in kept(folder)] == ["days1-0"]


def test_compress_to_a_rate():
    write_gray("noise.png", 96, 96)
    assert main(["compress", "noise.png", "--bpp", "0.3", *FEW_STEPS]) == 0
    assert 0.285 <= 8 * Path("noise.quinr").stat().st_size / 96**2 <= 0.3


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
    assert main(["compress", "photo.png", "--config", "kodak_latent.yaml", *rates]) == 2
    (line,) = error_lines(capsys)
    assert f"{' '.join(rates)}" in line
    assert "rate_weight" in line


@pytest.mark.parametrize(
    "flags",
    [
        ["--bpp", "inf"],
        ["--bpp", "nan"],
        ["--bpp", "0"],
        ["--bpp", "-1"],
        ["--psnr", "nan"],
        ["--psnr", "inf"],
        ["--psnr", "-5"],
        ["--psnr", "1000"],
        ["--bpp", "1", "--psnr", "30"],
        ["--bp", "0.1"],
        ["second.png"],
        ["--trainer.logger", "true"],
        ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "x"],
        ["--trainer.default_root_dir", "x"],
        ["--trainer.enable_checkpointing", "false"],
        ["--trainer.fast_dev_run", "true"],
        ["--trainer.fast_dev_run", "3"],
        ["--trainer.barebones", "true"],
        ["--trainer.callbacks", "FitProgress"],
        ["--trainer.callbacks", "null"],
        ["--ckpt_path", "last"],
        ["--data.path", "other.png"],
        ["--data", "SampleDataModule"],
    ],
    ids=" ".join,
)
def test_what_would_end_without_the_file_asked_for_is_refused_before_the_fit(
    flags, folder, capsys, monkeypatch
):
    write_gray("photo.png")
    monkeypatch.setattr(CoordinateNetworkModule, "training_step", None)
    assert main(["compress", "photo.png", *flags]) == 2
    (line,) = error_lines(capsys)
    assert flags[0] in line
    assert [path.name for path in folder.iterdir()] == ["photo.png"]
    assert kept(folder) == []


def test_flags_before_the_input_keep_their_values():
    parser = OneLineArgumentParser("x")
    parser.add_argument("-o", "--output")
    args = [
        "--trainer.max_steps",
        "5",
        "-o",
        "x",
        "--data.fov_down",
        "-25",
        "--a.b=c",
        "photo.png",
        "--",
        "--d",
    ]
    assert joined_values(args, parser) == [
        "--trainer.max_steps=5",
        "-o",
        "x",
        "--data.fov_down=-25",
        "--a.b=c",
        "photo.png",
        "--",
        "--d",
    ]


@pytest.mark.slow
def test_compress_a_scan_with_its_mask_to_a_rate(capsys):
    points = street_scan(0, dropout=0.9)
    points.astype("<f4").tofile("scan.bin")
    shape = ["--data.height", "64", "--data.width=128"]
    assert main(["compress", "scan.bin", "--bpp", "1.0", *shape, *FEW_STEPS]) == 0
    assert 0.95 <= 8 * Path("scan.quinr").stat().st_size / (64 * 128) <= 1.0
    _, valid = project(points, Projection(width=128))
    assert main(["decompress", "scan.quinr", "-o", "scan.npy"]) == 0
    assert (np.load("scan.npy")[~valid] == 0).all()
    capsys.readouterr()
    assert main(["inspect", "scan.quinr", "--json"]) == 0
    mask = json.loads(capsys.readouterr().out)["sections"]["mask"]
    assert mask > 100
    again = ["compress", "scan.bin", "-o", "less.quinr", "--bpp", "0.2", *shape, *FEW_STEPS]
    assert main(again) == 2
    assert f"too few for the mask's {mask + 3} and a network's 120" in capsys.readouterr().err
    assert main([*again, "--data.mask", "false"]) == 0
    assert 0.19 <= 8 * Path("less.quinr").stat().st_size / (64 * 128) <= 0.2


WAVES = ["--trainer.max_steps", "60", "--data.batch_size", "512", "--data.steps_per_epoch", "60"]
WAVES += ["--config", "compress.yaml", *QUICK]
WAVES += ["--model.warmup_steps", "5", "--model.learning_rate", "1e-2"]


def write_waves(name: str, scale: int = 1) -> np.ndarray:
    rows, columns = np.mgrid[: 48 * scale, : 64 * scale] / 64
    pixels = np.rint(255 * (0.5 + 0.4 * np.sin(5 * rows) * np.cos(4 * columns))).astype(np.uint8)
    Image.fromarray(pixels).save(name)
    return pixels


def test_compress_to_a_quality(capsys, monkeypatch):
    monkeypatch.setattr(rate, "PSNR_TRIES", 2)
    pixels = write_waves("waves.png")
    assert main(["compress", "waves.png", "--psnr", "15", *WAVES]) == 0
    assert "try 1" in capsys.readouterr().out
    assert main(["decompress", "waves.quinr", "-o", "back.png"]) == 0
    error = np.asarray(Image.open("back.png")).astype(float) - pixels
    assert 10 * np.log10(255**2 / np.mean(error**2)) >= 15


@pytest.mark.slow
def test_finished_tries_are_not_repeated(folder, monkeypatch, capsys):
    monkeypatch.setattr(rate, "PSNR_TRIES", 2)
    write_waves("waves.png", 3)
    few = [*WAVES[:1], "20", *WAVES[2:]]
    command = ["compress", "waves.png", "--psnr", "3", *few]
    assert main([*command, "-o", "whole.quinr"]) == 0
    with monkeypatch.context() as patch:
        calls = interrupted_at(30, patch)
        assert main(command) == 130
    assert len(kept(folder)) == 1
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(command) == 0
    assert calls[0] == 10
    assert Path("waves.quinr").read_bytes() == Path("whole.quinr").read_bytes()
    assert kept(folder) == []


def test_a_quality_out_of_reach(folder, capsys, monkeypatch):
    pixels = np.load(DATA / "quinr_three_stages.npy")
    Image.fromarray(255 - pixels).save("negative.png")
    data = (DATA / "quinr_three_stages.quinr").read_bytes()
    sizes: list[int] = []

    def fit(settings, folder, **names):
        sizes.append(settings["quantization"]["rate"])
        folder.mkdir()
        path = folder / "signal.quinr"
        path.write_bytes(data)
        return FitResult(path, 12.0, 1.0, len(data), 1, 1.0, 1.0, {})

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    assert main(["compress", "negative.png", "-o", "x.quinr", "--psnr", "30"]) == 2
    assert "--psnr 30.0: " in capsys.readouterr().err
    assert 1 <= len(sizes) <= 5
    assert not Path("x.quinr").exists()
    assert kept(folder) == []


@pytest.mark.slow
def test_a_terminated_compress_leaves_nothing_beside_the_input(folder):
    write_gray("pattern.png", 64, 64)
    Path("pattern.quinr").write_bytes(b"an earlier file")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    command = [*COMMAND, "compress", "pattern.png", "--overwrite", "--config", TINY]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder.parent / "cache")}
    with started([*command, "--trainer.max_steps", "1000000"], env=environment) as process:
        read_until(process, "step ")
        process.send_signal(signal.SIGTERM)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "run the same command again to go on" in shown
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before
    checkpoint = next((folder.parent / "cache").glob("quinr-pl/compress/*/checkpoints/last.ckpt"))
    assert torch.load(checkpoint, weights_only=True)["global_step"] > 0
