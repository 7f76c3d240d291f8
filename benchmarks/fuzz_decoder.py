"""Mutated, cut and spliced files through the decoder: each must give an image or one line of error.

    python -m benchmarks.fuzz_decoder --cases 100000 --seed 0
    python -m benchmarks.fuzz_decoder --coverage --seconds 300    # guided by coverage, needs atheris

Half of the mutations get a fresh checksum, so that they reach the parser behind it. A case fails if it
raises anything but a one-line BitstreamError, decodes a file that still is the original to other pixels,
takes more than 10 s of processor time, or brings the process above 2 GiB; failing files are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import resource
import signal
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from quinr_pl.codec import BitstreamError, DecodeLimits, decode
from quinr_pl.codec.architecture import read_architecture, read_signal
from quinr_pl.codec.bitstream import Section, pack, read_sections, unpack

SECONDS = 10
MEMORY_BYTES = 2 << 30
LIMITS = DecodeLimits(pixels=1 << 22, operations=2e9, pixel_operations=0)
"""What a service would allow: a file that asks for more is an error before any work is done."""
_GOLDEN = Path(__file__).parent.parent / "tests" / "data"
_EXTREMES = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\xc0\x7f",
)


class Failure(Exception):
    """A case that did not end as it must."""


class TimeoutFailure(Failure):
    """A case that took too long."""


def repaired(data: bytes) -> bytes:
    """The file with a checksum that fits its bytes."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def _change_bytes(generator: np.random.Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        position = int(generator.integers(len(changed) + 1))
        operation = generator.integers(5)
        if operation == 0 and position < len(changed):
            changed[position] ^= 1 << int(generator.integers(8))
        elif operation == 1 and position < len(changed):
            changed[position] = int(generator.integers(256))
        elif operation == 2:
            changed[position:position] = generator.bytes(int(generator.integers(1, 9)))
        elif operation == 3:
            del changed[position : position + int(generator.integers(1, 9))]
        else:
            extreme = _EXTREMES[generator.integers(len(_EXTREMES))]
            changed[position : position + len(extreme)] = extreme
    return bytes(changed)


def _change_parts(generator: np.random.Generator, files: list[bytes]) -> bytes:
    """Header and sections of a file, some changed, some from another file, in a right container."""
    header, sections = _parts(files[generator.integers(len(files))])
    other_header, other_sections = _parts(files[generator.integers(len(files))])
    choice = generator.integers(4)
    if choice == 0:
        header = other_header
    elif choice <= 2:
        header = _change_bytes(generator, header)
    mixed = []
    for section in sections:
        choice = generator.integers(8)
        if choice == 0:
            section = other_sections[generator.integers(len(other_sections))]
        elif choice == 1:
            section = Section(section.type, _change_bytes(generator, section.payload), section.optional)
        mixed.append(section)
    if generator.integers(8) == 0:
        mixed.append(Section(int(generator.integers(128)), generator.bytes(3), bool(generator.integers(2))))
    return pack(header, mixed)


def _parts(data: bytes) -> tuple[bytes, list[Section]]:
    reader = unpack(data)
    length = reader.remaining
    read_signal(reader)
    read_architecture(reader)
    length -= reader.remaining
    return data[4 : 4 + length], read_sections(reader)


def mutations(files: list[bytes], cases: int, seed: int) -> Iterator[bytes]:
    """Files that are wrong in one way or another; the same ones for the same seed."""
    generator = np.random.default_rng(seed)
    for _ in range(cases):
        data = files[generator.integers(len(files))]
        operation = generator.integers(5)
        if operation == 0:
            data = data[: generator.integers(len(data) + 1)]
        elif operation == 1:
            other = files[generator.integers(len(files))]
            data = data[: generator.integers(len(data) + 1)] + other[generator.integers(len(other) + 1) :]
        elif operation == 2:
            data = _change_bytes(generator, data)
        else:
            yield _change_parts(generator, files)
            continue
        yield repaired(data) if generator.integers(2) and len(data) >= 4 else data


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise TimeoutFailure(f"more than {SECONDS} s of processor time")


def try_decode(data: bytes, images: dict[bytes, np.ndarray]) -> str:
    """How a file ends: "image", "other image" or the first words of the error, # for numbers.

    Args:
        data: The file.
        images: The right pixels of files.

    Raises:
        Failure: If it ends in any other way.
    """
    try:
        values = decode(data, "case", LIMITS).reconstruct()
    except BitstreamError as error:
        message = str(error)
        if "\n" in message or not message.startswith("case: "):
            raise Failure(f"not a line that names the file: {message!r}") from None
        return " ".join(re.sub(r"\d+", "#", message).split()[1:5])
    except Failure:
        raise
    except Exception as error:
        raise Failure(f"{type(error).__name__}: {error}") from error
    if data not in images:
        return "other image"
    if not np.array_equal(values, images[data]):
        raise Failure("other pixels than those of the file")
    return "image"


def run(files: list[bytes], cases: int, seed: int, folder: Path | None = None) -> Counter[str]:
    """Try mutations one after another.

    Args:
        files: Right files to start from.
        cases: Number of mutations.
        seed: Of the mutations.
        folder: Where failing files go.

    Returns:
        How often each ending came; failures start with "FAILED".
    """
    images = {data: decode(data).reconstruct() for data in files}
    endings: Counter[str] = Counter()
    slowest = 0.0
    # Processor time: a pause of the machine is no fault of the decoder.
    signal.signal(signal.SIGPROF, _on_alarm)
    for data in mutations(files, cases, seed):
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            ending = try_decode(data, images)
        except Failure as failure:
            ending = f"FAILED {failure}"
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{hashlib.sha256(data).hexdigest()[:16]}.quinr").write_bytes(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - start)
        endings[ending] += 1
    print(f"slowest case: {slowest:.2f} s of processor time")
    if peak_memory() > MEMORY_BYTES:
        endings["FAILED memory"] += 1
    return endings


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--coverage", action="store_true", help="guided by coverage (needs atheris)")
    parser.add_argument("--seconds", type=int, default=300, help="length of a guided run")
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"), help="folder of a guided run")
    arguments = parser.parse_args()
    if arguments.coverage:
        run_guided(golden_files(), arguments.seconds, arguments.corpus)
    start = time.perf_counter()
    endings = run(golden_files(), arguments.cases, arguments.seed, arguments.failures)
    for ending, count in endings.most_common():
        print(f"{count:8d}  {ending}")
    print(f"{time.perf_counter() - start:.0f} s, peak memory {peak_memory() / 2**20:.0f} MiB")
    return any(ending.startswith("FAILED") for ending in endings)


if __name__ == "__main__":
    sys.exit(main())
