from __future__ import annotations

import numpy as np
import pytest

from benchmarks import fuzz_decoder


def test_mutated_files_end_well() -> None:
    endings = fuzz_decoder.run(fuzz_decoder.golden_files(), cases=300, seed=1)
    assert not [ending for ending in endings if ending.startswith("FAILED")]
    assert len(endings) > 8
    assert endings["the checksum does not"] < 200


def test_mutations_are_seeded() -> None:
    files = fuzz_decoder.golden_files()
    assert list(fuzz_decoder.mutations(files, 50, seed=2)) == list(fuzz_decoder.mutations(files, 50, seed=2))


def test_wrong_pixels_are_a_failure() -> None:
    data = fuzz_decoder.golden_files()[0]
    with pytest.raises(fuzz_decoder.Failure, match="other pixels"):
        fuzz_decoder.try_decode(data, {data: np.zeros(1)})


def test_other_exceptions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(fuzz_decoder, "decode", broken)
    with pytest.raises(fuzz_decoder.Failure, match="IndexError"):
        fuzz_decoder.try_decode(b"", {})
