"""What a user can mend ends in one line with status 2; faults of ours keep their traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quinr_pl.commands import main as cli
from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError
from quinr_pl.refusals import interpreting, refusal

TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")
TINY_LATENT = str(Path(__file__).parents[1] / "conf" / "tiny_latent.yaml")
GOLDEN = str(Path(__file__).parents[1] / "data" / "coin_array.quinr")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def the_line(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("quinr-pl: error:")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trainer.accelerator", "tpu"], "torch_xla"),
        (["--trainer.devices", "0"], "devices"),
        (["--trainer.strategy", "abacus"], "abacus"),
        (["--trainer.strategy", "fsdp"], "fsdp"),
        (["--trainer.logger", "WandbLogger"], "wandb"),
        (["--trainer.precision", "7"], "precision"),
        (["--trainer.max_time", "soon"], "soon"),
        (["--trainer.profiler", "abacus"], "profiler"),
        (["--trainer.val_check_interval", "99"], "val_check_interval"),
        (["--trainer.max_steps", "1e2"], '"trainer.max_steps": Expected a whole number. Got value: 100.0'),
        (["--data.batch_size", "x"], 'key "data.batch_size": Expected a whole number; Given value: x'),
        (["--data.seed", ".nan"], 'key "data.seed": Expected a whole number. Got value: nan'),
        (["--model.optimizer", "lion"], "Expected one of 'adam', 'soap'. Got value: lion"),
        (["--seed_everything", "-1"], "--seed_everything -1: "),
        (["--model.betas", "[2, 3]"], "--model.betas [2.0, 3.0]"),
        (["--model.learning_rate", ".inf"], "--model.learning_rate inf"),
        (["--model.learning_rate", ".nan"], "--model.learning_rate nan"),
        (["--model.warmup_steps", "-1"], "--model.warmup_steps -1"),
        (["--model.final_learning_rate", "-1"], "--model.final_learning_rate -1"),
        (["--data.batch_size", "0"], "--data.batch_size 0"),
        (["--trainer.max_steps", "0"], "--trainer.max_steps 0"),
        (["--trainer.max_epochs", "0"], "--trainer.max_epochs 0"),
        (["--trainer.limit_train_batches", "0"], "--trainer.limit_train_batches 0"),
        (["--trainer.overfit_batches", "1"], "--trainer.overfit_batches 1"),
        (["--trainer.enable_checkpointing", "false"], "--trainer.enable_checkpointing"),
        (["--trainer.callbacks", "null"], "without WeightQuantization"),
        (["--model.network.qubits", "13"], "--model.network.qubits 13"),
        (["--model.network.weight_init", "-5"], "weight_init = -5.0: must not be negative"),
        (["--model.network.coordinate_scale", "0"], "coordinate_scale = 0.0: must be positive"),
        (["--data.longer_side", "100000000"], "--data.longer_side 100000000: must lie between 1 and 16384"),
        (
            ["--quantization", "{method: nearest, bits: 0}"],
            "--quantization.bits 0: must lie between 2 and 16",
        ),
        (["--quantization", "{method: gptq, rate: -1}"], "--quantization.rate -1.0: must be positive"),
        (["--modle.learning_rate", "1"], "did you mean model.learning_rate?"),
        (["--model.network.qubts", "3"], "did you mean qubits?"),
        (["--model.network.filters", "1"], "it is an argument of LatentQuINR"),
        (["--data.imagee", "coffee"], "did you mean image?"),
        (["--model.network", "LatentQuNIR"], "did you mean LatentQuINR?"),
        (["--trainer.callbacks+=RateControl"], "RateControl with nothing asked for: give one of bpp,"),
        (["--trainer.callbacks+=RateControl", "--trainer.callbacks.psnr", "-3"], "callbacks.psnr -3.0: must"),
        (
            ["--trainer.callbacks+=ReconstructionLogger", "--trainer.callbacks.every_n_validations", "0"],
            "--trainer.callbacks.every_n_validations 0: must be at least 1",
        ),
        (
            ["--trainer.callbacks+=LightningParity", "--trainer.callbacks.coordinates", "-1"],
            "--trainer.callbacks.coordinates -1: must be at least 1",
        ),
        (["--trainer.callbacks+=PSNRCheckpint"], "did you mean PSNRCheckpoint?"),
    ],
)
def test_settings_that_cannot_be(flags, said, capsys, folder):
    assert main(["fit", "--config", TINY, *flags]) == 2
    line = the_line(capsys)
    assert said in line
    assert not re.search(r"<class|NestedArg|Namespace|Union|typing\.|NoneType", line)
    assert not list(folder.rglob("*.quinr"))


def test_a_quantizer_of_other_networks_is_refused_before_the_fit(capsys):
    final = "--trainer.callbacks.init_args.final"
    flags = [
        "--trainer.callbacks=WeightQuantization",
        f"{final}={{method: searched}}",
        "--trainer.callbacks+=PSNRCheckpoint",
    ]
    assert main(["fit", "--config", TINY, *flags]) == 2
    assert "quantization method searched: QuINR has no rate_weight" in the_line(capsys)


def test_training_for_quantization_is_refused_on_latents_before_the_fit(capsys):
    flags = [
        "--trainer.callbacks=WeightQuantization",
        "--trainer.callbacks.training.start=0.5",
        "--trainer.callbacks+=PSNRCheckpoint",
    ]
    assert main(["fit", "--config", TINY_LATENT, *flags]) == 2
    line = the_line(capsys)
    assert "--trainer.callbacks.training: LatentQuINR has latents beside its weights" in line
    assert "final: {method: searched}" in line


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["FIT"], "did you mean fit?"),
        (["comprss", "a.png"], "did you mean compress?"),
        (["--verison"], "did you mean --version?"),
        (["frobnicate"], "there are fit, validate"),
        (["inspect", GOLDEN, "--jsn"], "did you mean --json?"),
        (["fit"], "give --config"),
        (["validate", "--config", TINY], "--ckpt_path best"),
        (["test", "--config", TINY], "--ckpt_path best"),
        (["predict", "--config", TINY], "--ckpt_path best"),
    ],
)
def test_commands_and_flags(args, said, capsys, folder):
    assert main(args) == 2
    assert said in the_line(capsys)
    assert not list(folder.iterdir())


def test_a_file_whose_name_begins_as_a_flag_does(capsys):
    Path("-dash.quinr").write_bytes(Path(GOLDEN).read_bytes())
    for command in ("inspect", "decompress", "export", "compress"):
        assert main([command, "-dash.quinr"]) == 2
        assert (
            f"-dash.quinr: begins as a flag does; give it after --, as in quinr-pl {command} -- -dash.quinr"
            in (the_line(capsys))
        )
    assert main(["inspect", "--", "-dash.quinr"]) == 0
    assert main(["decompress", "-o", "back.npy", "--", "-dash.quinr"]) == 0
    assert Path("back.npy").exists()


@pytest.mark.parametrize("args", [["help"], ["help", "inspect"], ["inspect", "-h"], ["-h"]])
def test_help(args, capsys):
    with contextlib.suppress(SystemExit):  # as argparse ends with help
        assert main(args) == 0
    assert "usage: quinr-pl" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_ends_the_fit(capsys):
    flags = ["--model.learning_rate", "1e38", "--trainer.max_steps", "40", "--trainer.log_every_n_steps", "1"]
    assert main(["fit", "--config", TINY, *flags]) == 2
    assert "lower" in the_line(capsys)


def test_a_trial_run_leaves_nothing(folder):
    assert main(["fit", "--config", TINY, "--trainer.fast_dev_run", "true"]) == 0
    assert not [path for path in folder.rglob("*") if path.is_file()]


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/x.ckpt"),
            "runs/x.ckpt: No space left on device",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "the system refuses: Permission denied"),
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 4 bytes"),
            "not enough memory",
        ),
    ],
)
def test_the_system_refuses(error, said, monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "inspect", (lambda args: _raise(error), ""))
    assert main(["inspect"]) == 2
    assert said in the_line(capsys)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "inspect", (lambda args: _raise(ValueError("a bug")), ""))
    with pytest.raises(ValueError, match="a bug"):
        main(["inspect"])


def test_tracebacks_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("QUINR_DEBUG", "1")
    with pytest.raises(QuinrError):
        main(["frobnicate"])


def test_a_library_refuses_what_it_is_given_and_nothing_else():
    with pytest.raises(QuinrError, match="Expecting property name"), interpreting():
        __import__("json").loads("{")
    assert refusal(ValueError("a bug")) is None


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written(redirection):
    command = f'"{sys.executable}" -m quinr_pl inspect "{GOLDEN}" {redirection}'
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, env=buffered)
    assert ended.returncode == 2
    assert ended.stderr.startswith("quinr-pl: error: standard output: cannot write (")
    assert ended.stderr.count("\n") == 1


def test_closed_errors_do_not_end_in_the_output():
    command = f'"{sys.executable}" -m quinr_pl inspect missing.quinr 2>&-'
    ended = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE)
    assert ended.returncode == 2
    assert ended.stdout == b""


@pytest.mark.slow
def test_names_that_the_terminal_cannot_show(tmp_path):
    data = Path(GOLDEN).read_bytes()
    name = os.fsdecode(b"caf\xe9.quinr")
    Path(name).write_bytes(data)
    output = os.fsdecode(b"caf\xe9.npy")
    command = [sys.executable, "-m", "quinr_pl", "decompress", name, "-o", output]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(command, capture_output=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == rb"caf\udce9.npy"
