from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz_cases, fuzz_decoder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "cases", "ways"), [("mutated", 200, 7), ("structured", 40, 7), ("framed", 100, 5)]
)
def test_wrong_files_end_well(kind: str, cases: int, ways: int) -> None:
    outcomes = list(fuzz_decoder.run(fuzz_decoder.golden_files(), kind, range(cases), seed=1))
    assert [outcome for outcome in outcomes if outcome.failed] == []
    assert [outcome.number for outcome in outcomes] == list(range(cases))
    endings = [outcome.ending for outcome in outcomes]
    assert len(set(endings)) >= ways
    assert "other image" in endings
    checksums = sum(ending.startswith("the checksum does not") for ending in endings)
    assert checksums < 0.6 * cases if kind == "mutated" else checksums == 0


@pytest.mark.parametrize("kind", fuzz_cases.KINDS)
def test_cases_are_seeded(kind: str) -> None:
    files = fuzz_decoder.golden_files()
    case = fuzz_cases.KINDS[kind]
    assert [case(files, 2, number) for number in range(20)] == [
        case(files, 2, number) for number in range(20)
    ]
    assert case(files, 2, 0) != case(files, 3, 0)


def test_wrong_pixels_are_a_failure() -> None:
    data = fuzz_decoder.golden_files()[0]
    with pytest.raises(fuzz_decoder.Failure, match="other pixels"):
        fuzz_decoder.try_decode(data, {data: np.zeros(1)})


def test_other_exceptions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(fuzz_decoder, "decode", broken)
    with pytest.raises(fuzz_decoder.Failure, match="IndexError"):
        fuzz_decoder.try_decode(fuzz_decoder.golden_files()[0], {})


def test_a_case_that_kills_its_process_has_failed_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = fuzz_decoder.golden_files()[:1]

    def case(files: list[bytes], seed: int, number: int) -> bytes:
        return bytes([number])

    def tried(data: bytes, images: object) -> str:
        if data == bytes([2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return "image"

    monkeypatch.setitem(fuzz_cases.KINDS, "mutated", case)
    monkeypatch.setattr(fuzz_decoder, "try_decode", tried)
    outcomes = list(fuzz_decoder.run(files, "mutated", range(4), 0, tmp_path))
    assert [outcome.number for outcome in outcomes] == [0, 1, 2, 3]
    assert [outcome.failed for outcome in outcomes] == [False, False, True, False]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [bytes([2])]
