"""Wrong and hostile files through the decoder: each must give an image or one line of error.

    python -m benchmarks.fuzz_decoder --mutated 100000 --structured 20000 --framed 20000 --seed 0
    python -m benchmarks.fuzz_decoder --coverage --seconds 300    # guided by coverage, needs atheris

Mutated files are changed byte by byte; structured ones have a right checksum, and headers, sections and
symbols that are changed as such; framed ones hold frames, one with other sections. A case fails if it raises
anything but a one-line BitstreamError or warns, decodes a file that is still the original to other pixels,
takes over 10 s of processor time, or brings its process above 2 GiB; failing files are kept. Cases run one
after another in a process of their own, which is started anew when it is killed.
"""

from __future__ import annotations

import argparse
import heapq
import math
import multiprocessing
import re
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
import torch

from benchmarks.fuzz_cases import KINDS, repaired
from quinr_pl.codec import BitstreamError, DecodeLimits, Frames, decode, inspect
from quinr_pl.codec.file.frame_list import holds_frames

SECONDS = 10
MEMORY_BYTES = 2 << 30
LIMITS = DecodeLimits(pixels=3e6)
"""Larger pictures may take more than SECONDS: their limit of operations grows with their pixels."""
_SPARE_BYTES = 4 << 30
_HANGING_SECONDS = 300
_GOLDEN = Path(__file__).parent.parent / "tests" / "data"


class Failure(Exception):
    """A case that did not end as it must."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Args:
        kind: Of the case.
        number: Of the case.
        ending: "image", "other image", the first words of the error, or "FAILED" and why.
        seconds: Of processor time.
        memory: Largest resident size of the process meanwhile, in bytes.
    """

    kind: str
    number: int
    ending: str
    seconds: float = 0.0
    memory: int = 0

    @property
    def failed(self) -> bool:
        """Whether it ended as it must not."""
        return self.ending.startswith("FAILED")


def try_decode(data: bytes, images: dict[bytes, np.ndarray]) -> str:
    """How a file ends: "image", "other image" or the first words of the error, # for numbers.

    Args:
        data: The file.
        images: The right pixels of files.

    Raises:
        Failure: If it ends in any other way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            error = _line(lambda: inspect(data, "case", LIMITS))
            values: list[np.ndarray] = []
            error = _line(lambda: values.extend(_decoded(data))) or error
    except Failure:
        raise
    except Exception as raised:
        raise Failure(f"{type(raised).__name__}: {raised}") from raised
    if error:
        return error
    if data not in images:
        return "other image"
    if not np.array_equal(values[0], images[data]):
        raise Failure("other pixels than those of the file")
    return "image"


def _decoded(data: bytes) -> list[np.ndarray]:
    if holds_frames(data):
        return [frame.reconstruct() for frame in Frames(data, "case", LIMITS)]
    return [decode(data, "case", LIMITS).reconstruct()]


def _line(attempt: object) -> str | None:
    """The first words of the error that an attempt ends in."""
    try:
        attempt()  # type: ignore[operator]
    except BitstreamError as error:
        message = str(error)
        if "\n" in message or not message.startswith(("case: ", "case, frame ")):
            raise Failure(f"not a line that names the file: {message!r}") from None
        return " ".join(re.sub(r"[\d.e+-]*\d", "#", message).split()[1:5])
    return None


def run(
    files: list[bytes], kind: str, numbers: range, seed: int, folder: Path | None = None
) -> Iterator[Outcome]:
    """Try cases of a kind one after another.

    Args:
        files: Right files to start from.
        kind: One of KINDS.
        numbers: Which cases.
        seed: Of the cases.
        folder: Where failing files go.

    Yields:
        How each ended.
    """
    images = {data: decode(data).reconstruct() for data in files}  # compiles kernels, too
    context = multiprocessing.get_context("fork")
    current = context.Value("q", -1)
    while numbers:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(files, images, kind, numbers, seed, current, theirs))
        worker.start()
        theirs.close()
        ended = numbers.start
        for outcome in _received(ours, worker, kind, current):
            if outcome.failed and folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{kind}-{seed}-{outcome.number}.quinr").write_bytes(
                    KINDS[kind](files, seed, outcome.number)
                )
            ended = outcome.number + 1
            yield outcome
        numbers = range(ended, numbers.stop)


def _received(
    connection: Connection, worker: multiprocessing.process.BaseProcess, kind: str, current: Synchronized[int]
) -> Iterator[Outcome]:
    """What a worker says until its end; the case that ended it has failed."""
    ending = None
    try:
        while True:
            if not connection.poll(_HANGING_SECONDS):
                ending = "FAILED hangs"
                worker.kill()
                break
            outcome = connection.recv()
            if outcome is None:
                break
            yield outcome
    except EOFError:
        ending = "FAILED killed"
    worker.join()
    if ending is not None:
        yield Outcome(kind, current.value, f"{ending}, exit status {worker.exitcode}")


def _work(
    files: list[bytes],
    images: dict[bytes, np.ndarray],
    kind: str,
    numbers: Iterable[int],
    seed: int,
    current: Synchronized[int],
    connection: Connection,
) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + _SPARE_BYTES, resource.RLIM_INFINITY))
    for number in numbers:
        current.value = number
        data = KINDS[kind](files, seed, number)
        _reset_peak()
        start = time.process_time()
        # Native code hears no handler: the system ends what does not end.
        most = math.ceil(start) + 2 * SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        try:
            ending = try_decode(data, images)
        except Failure as failure:
            ending = f"FAILED {failure}"
        seconds, memory = time.process_time() - start, peak_memory()
        if seconds > SECONDS:
            ending = f"FAILED more than {SECONDS} s of processor time"
        elif memory > MEMORY_BYTES:
            ending = "FAILED memory"
        connection.send(Outcome(kind, number, ending, seconds, memory))
    connection.send(None)


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Largest resident size of this process since ``_reset_peak``, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def golden_files() -> list[bytes]:
    """The files of tests/data."""
    return [path.read_bytes() for path in sorted(_GOLDEN.glob("*.quinr"))]


def run_guided(files: list[bytes], seconds: int, corpus: Path) -> None:
    """Let atheris look for inputs that reach new lines; ends the process."""
    import atheris

    corpus.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(files):
        (corpus / f"golden{index}").write_bytes(data[:-4])
    with atheris.instrument_imports():
        atheris.instrument_all()

    def one(body: bytes) -> None:
        try_decode(repaired(body + bytes(4)), {})

    arguments = [sys.argv[0], f"-max_total_time={seconds}", f"-timeout={SECONDS}", "-rss_limit_mb=2048"]
    atheris.Setup([*arguments, str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutated", type=int, default=100_000)
    parser.add_argument("--structured", type=int, default=20_000)
    parser.add_argument("--framed", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--coverage", action="store_true", help="guided by coverage (needs atheris)")
    parser.add_argument("--seconds", type=int, default=300, help="length of a guided run")
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"), help="folder of a guided run")
    arguments = parser.parse_args()
    if arguments.coverage:
        run_guided(golden_files(), arguments.seconds, arguments.corpus)
    failures = 0
    for kind in KINDS:
        start, outcomes = time.perf_counter(), []
        for outcome in run(
            golden_files(), kind, range(getattr(arguments, kind)), arguments.seed, arguments.failures
        ):
            outcomes.append(outcome)
            if outcome.failed:
                print(f"{kind} {outcome.number}: {outcome.ending}", flush=True)
        failures += sum(outcome.failed for outcome in outcomes)
        print(f"{len(outcomes)} {kind} cases in {time.perf_counter() - start:.0f} s")
        for ending, count in Counter(outcome.ending for outcome in outcomes).most_common():
            print(f"{count:8d}  {ending}")
        for worst in heapq.nlargest(3, outcomes, key=lambda outcome: outcome.seconds):
            print(f"slowest: {worst.number}, {worst.seconds:.2f} s of processor time: {worst.ending}")
        for worst in heapq.nlargest(3, outcomes, key=lambda outcome: outcome.memory):
            print(f"largest: {worst.number}, {worst.memory / 2**20:.0f} MiB: {worst.ending}", flush=True)
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
