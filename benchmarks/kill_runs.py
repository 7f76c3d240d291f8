"""Kills commands at random moments and looks at what is left: python -m benchmarks.kill_runs --kills 25.

Each command runs once undisturbed. Then it is killed, with SIGKILL and with SIGTERM, at moments drawn
uniformly from its duration; after each kill no process of it may go on, and every file in its folder must be
whole. The same command, or the one that continues it, must then end in the same bytes and leave nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from quinr_pl.atomic_file import write_bytes
from quinr_pl.codec import decode

_ROOT = Path(__file__).parents[1]
_TINY = str(_ROOT / "tests" / "conf" / "tiny.yaml")
_GRACE_SECONDS = 30  # a worker that is being started notices only then that nobody waits for it
_LIMIT_SECONDS = 300

_COMPARE = """
folder: runs
processes: 1
data: {class_path: SampleDataModule, init_args: {longer_side: 16}}
images: [{image: coffee}]
anchors: [JPEG2000]
methods:
  quINR:
    kind: fit
    base: sample.yaml
    fit:
      model: {network: {init_args: {qubits: 2, angles: 4, uploads: 2}}}
      trainer: {max_steps: 4}
      data: {init_args: {batch_size: 64, steps_per_epoch: 2}}
  COIN as published: {kind: coin, settings: {steps: 4}, points: {2x4: {layers: 2, width: 4}}}
  JPEG2000: {kind: jpeg2000, points: [1, 4]}
"""
_SEARCH = """
folder: runs
base: sample.yaml
bytes: 300
trials: 2
workers: 1
startup: 2
fit:
  model: {network: {init_args: {qubits: 2, angles: 4, uploads: 2}}}
  trainer: {max_steps: 6}
  data: {init_args: {longer_side: 16, batch_size: 64, steps_per_epoch: 3}}
space:
  model.learning_rate: {low: 1e-3, high: 1e-2, log: true}
"""


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Args:
        prepare: Lays out what it needs in a folder.
        arguments: Its command line, from the folder: that of a new run, or of one that goes on.
        outcome: Its files that must be the same at the end.
    """

    prepare: Callable[[Path], None]
    arguments: Callable[[Path], list[str] | None]
    outcome: Callable[[Path], list[bytes]]


def _fit_arguments(folder: Path) -> list[str]:
    started = any(folder.glob("runs/tiny/version_*/checkpoints/last.ckpt"))
    return ["fit", "--config", _TINY, *(["--ckpt_path", "last"] if started else [])]


def _write_picture(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")


def _compress_arguments(folder: Path) -> list[str] | None:
    if (folder / "picture.quinr").exists():
        return None  # it was killed when all was done; an output is not overwritten
    return ["compress", "picture.png", "-o", "picture.quinr", "--config", _TINY]


def _write_pictures(folder: Path) -> None:
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), np.uint8)
        Image.fromarray(np.kron(pixels, np.ones((6, 6, 1), np.uint8))).save(folder / f"{seed}.png")


def _compress_many_arguments(folder: Path) -> list[str] | None:
    done = len(list(folder.glob("packed/*.quinr"))) == 3 and not list(folder.glob("packed/.*"))
    asked = ["--out-dir", "packed", "--processes", "2", "--bpp", "2", "--effort", "1"]
    return (
        None
        if done
        else ["compress", *(f"{seed}.png" for seed in range(3)), *asked, "--trainer.max_steps", "60"]
    )


def _newest_run(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("runs/tiny/version_*/*.quinr"))[-1:]]


def _files(pattern: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: sorted(path.read_bytes() for path in folder.glob(pattern) if path.is_file())


def _written(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.yaml").write_text(text) and None


COMMANDS = {
    "fit": Command(lambda folder: None, _fit_arguments, _newest_run),
    "compress": Command(_write_picture, _compress_arguments, _files("picture.quinr")),
    "compress-many": Command(_write_pictures, _compress_many_arguments, _files("packed/*.quinr")),
    "compare": Command(
        _written(_COMPARE),
        lambda folder: ["compare", "--config", "config.yaml"],
        lambda folder: [
            b for end in ("quinr", "j2k", "fp16") for b in _files(f"runs/coffee/**/*.{end}")(folder)
        ],
    ),
    "search": Command(
        _written(_SEARCH),
        lambda folder: ["search", "--config", "config.yaml"],
        lambda folder: _files("runs/best.yaml")(folder) + _files("runs/trial_*/*.quinr")(folder),
    ),
}


@dataclass
class Row:
    """What kills of one command by one signal led to."""

    command: str
    signal: str
    kills: int = 0
    broken: list[str] = field(default_factory=list)
    running: int = 0
    left_by_kill: int = 0
    left_at_end: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    differs: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument(
        "--signals", nargs="+", choices=("SIGKILL", "SIGTERM"), default=["SIGKILL", "SIGTERM"]
    )
    parser.add_argument("--kills", type=int, default=25, help="by each signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    rows = []
    for name in options.commands:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            whole = _finish(COMMANDS[name], _new(COMMANDS[name], Path(folder)))
            duration = time.monotonic() - start
            usual = set(_leftovers(Path(folder)))  # torch keeps a cache in the folder for temporary files
        for number in options.signals:
            row = Row(name, number)
            for _ in range(options.kills):
                _kill_once(row, COMMANDS[name], whole, usual, moments.uniform(0, duration))
            rows.append(row)
            print(_told(row), flush=True)
    if options.json:
        write_bytes(options.json, (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())
    return int(any(row.broken or row.running or row.left_at_end or row.failed or row.differs for row in rows))


def _told(row: Row) -> str:
    found = (
        row.broken + row.left_at_end + row.failed + [f"other bytes at {moment} s" for moment in row.differs]
    )
    return (
        f"{row.command:13} {row.signal:8} {row.kills:3} kills: {len(row.broken)} broken files, {row.running} "
        f"processes left, {row.left_by_kill} temporary files then, {len(row.left_at_end)} at the end, "
        f"{len(row.failed)} not continued, {len(row.differs)} other outcomes {'; '.join(found)}"
    )


def _kill_once(row: Row, command: Command, whole: list[bytes], usual: set[Path], moment: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = _new(command, Path(name))
        process = _start(command, folder)
        if process is None:
            return
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, row.signal))
            try:
                process.wait(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                row.running += 1
        row.kills += 1
        row.running += _end_session(process.pid)
        row.broken += [f"{path.name} at {moment:.2f} s" for path in _broken(folder)]
        row.left_by_kill += len(set(_leftovers(folder)) - usual)
        try:
            if _finish(command, folder) != whole:
                row.differs.append(round(moment, 2))
        except RuntimeError as error:
            row.failed.append(f"at {moment:.2f} s: {error}")
        row.left_at_end += [f"{path} at {moment:.2f} s" for path in set(_leftovers(folder)) - usual]


def _new(command: Command, folder: Path) -> Path:
    (folder / "temporary").mkdir()
    (folder / "work").mkdir()
    command.prepare(folder / "work")
    return folder


def _start(command: Command, folder: Path) -> subprocess.Popen | None:
    arguments = command.arguments(folder / "work")
    if arguments is None:
        return None
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "temporary")}
    with open(folder / "output", "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "quinr_pl", *arguments],
            cwd=folder / "work",
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _finish(command: Command, folder: Path) -> list[bytes]:
    process = _start(command, folder)
    if process is not None and process.wait(timeout=_LIMIT_SECONDS) != 0:
        raise RuntimeError((folder / "output").read_text().strip().splitlines()[-1])
    return command.outcome(folder / "work")


def _end_session(session: int) -> int:
    """Waits for the processes of a session; how many had to be ended."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := _session(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in alive:
        os.kill(process, signal.SIGKILL)
    return len(alive)


def _session(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def _leftovers(folder: Path) -> list[Path]:
    temporary = list((folder / "temporary").iterdir())
    hidden = [path for path in (folder / "work").rglob("*") if path.name.startswith(".")]
    parts = (folder / "work").rglob("*.part")
    return [path.relative_to(folder) for path in (*temporary, *hidden, *parts)]


def _broken(folder: Path) -> list[Path]:
    """Files that bear a final name and cannot be read."""
    readers: dict[str, Callable[[Path], object]] = {
        ".quinr": lambda path: decode(path.read_bytes()).reconstruct(),
        ".ckpt": lambda path: torch.load(path, weights_only=True),
        ".json": lambda path: json.loads(path.read_text()),
        ".yaml": lambda path: dict(yaml.safe_load(path.read_text())),  # an empty file is no mapping
        ".png": lambda path: np.asarray(Image.open(path)),
    }
    broken = []
    for path in (folder / "work").rglob("*"):
        if path.suffix in readers and path.is_file() and not path.name.startswith("."):
            try:
                readers[path.suffix](path)
            except Exception:
                broken.append(path)
    return broken


if __name__ == "__main__":
    sys.exit(main())
