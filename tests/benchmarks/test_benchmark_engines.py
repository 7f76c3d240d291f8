from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from processes import completed

from benchmarks.cases import CIRCUITS, MAIN, flops
from benchmarks.engines_table import compact, table
from benchmarks.fit_profile import summary
from benchmarks.scaling import report
from benchmarks.worker import _expected

ROOT = Path(__file__).parents[2]
KEYS = {
    "engine": str,
    "qubits": int,
    "folds": int,
    "uploads": int,
    "layers": int,
    "batch": int,
    "mode": str,
    "coords_per_s": float,
    "peak_mib": float,
    "compile_s": float,
    "threads": int,
    "dtype": str,
}


def module(*arguments):
    return completed([sys.executable, "-m", *map(str, arguments)], cwd=ROOT)


@pytest.mark.slow
def test_engines_side_by_side(tmp_path):
    path = tmp_path / "engines.json"
    given = [
        "--quick",
        "--engines",
        "cpu",
        "default.qubit",
        "torchquantum",
        "--batches",
        16,
        "--seconds",
        0.01,
    ]
    done = module("benchmarks.engines", *given, "--threads", 1, "--json", path)
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert result["machine"]["matrix_product_gflops"] > 0
    measured = {(row["engine"], row["qubits"], row["mode"]) for row in result["rows"]}
    names = ("cpu", "default.qubit")
    assert measured >= {(name, n, mode) for name in names for n in (4, 6) for mode in ("train", "forward")}
    for row in result["rows"]:
        assert all(isinstance(row[key], kind) for key, kind in KEYS.items()), row
        assert row["coords_per_s"] > 0
        assert row["threads"] == 1
        assert row["max_error"] < 1e-5
    shares = [row["share_of_matrix_product"] for row in result["rows"] if row["engine"] == "cpu"]
    assert len(shares) == 4
    assert min(shares) > 0
    # One that is not installed is named with the reason, not left out.
    known = {row["engine"] for row in result["rows"]} | {row["engine"] for row in result["skipped"]}
    assert "torchquantum" in known
    with path.with_suffix(".csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(result["rows"])
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "times default.qubit" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engines", "triton"), "--engines triton: does not run on --device cpu"),
        (("--interpreter", "jax=python"), "--interpreter jax=python: needs ENGINE=PYTHON"),
    ],
)
def test_engines_refuses(arguments, message):
    done = module("benchmarks.engines", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_table_takes_the_best_batch():
    def row(engine, rate, batch, mode="train"):
        shape = {"qubits": 4, "folds": 3, "uploads": 3, "layers": 2, "batch": batch, "mode": mode}
        return {"engine": engine, "coords_per_s": rate, "share_of_matrix_product": 0.5, **shape}

    rows = [row("cpu", 100.0, 1), row("cpu", 900.0, 16), row("cpu", 4000.0, 16, "forward")]
    rows += [row("qandle", 30.0, 1), row("jax-merged", 300.0, 1), row("qandle", 20.0, 1, "forward")]
    machine = {"processor": "P", "threads": 2, "matrix_product_gflops": 7.0}
    text = table({"machine": machine, "rows": rows})
    assert "| n=4, 3 folds, 3×2 | qandle | 30 | 30.0× | 20 | 200.0× |" in text
    assert "30.0 times best packaged, 3.0 times jax-merged" in text


def test_batches_that_would_take_too_long_are_foreseen():
    assert _expected([], 1) == 0
    assert _expected([(1, 0.1)], 16) == 0.1
    assert _expected([(1, 0.1), (16, 0.11)], 4096) == 0.11  # overhead, and some noise
    assert _expected([(1, 0.02), (16, 0.32)], 256) == pytest.approx(5.12)


def test_counted_operations():
    for case in {case for cases in CIRCUITS.values() for case in cases}:
        assert flops(case, "train") > 2 * flops(case, "forward")
    # A second layer of CRZ and RX costs at least 6 n D forward, whatever else.
    four = MAIN[0]
    deeper = type(four)(four.qubits, four.folds, four.uploads, four.layers + 1)
    assert flops(deeper, "forward") - flops(four, "forward") >= four.uploads * 6 * 4 * 16


def test_shares_of_a_fit():
    step = {"forward": 2.0, "backward": 6.0, "optimizer": 1.0, "total": 10.0}
    found = summary([step] * 3 + [{**step, "total": 20.0}])
    assert found["shares"]["rest"] == pytest.approx((50 - 4 * 9) / 50)
    assert found["outside_network"]["median"] == pytest.approx(0.2)
    assert found["outside_network"]["worst"] == pytest.approx(0.6)


@pytest.mark.slow
def test_scaling(tmp_path):
    path = tmp_path / "scaling.json"
    sizes = ["--coordinates", 100, 1000, "--uploads", 1, 3, "--qubits", 2, 3]
    done = module("benchmarks.scaling", *sizes, "--seconds", 0.01, "--threads", 1, "--json", path)
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert [row["coordinates"] for row in result["coordinates"]] == [100, 1000] * 2
    assert [row["uploads"] for row in result["depth"]] == [1, 3]
    assert all(row["ns"] > 0 for part in ("coordinates", "depth", "qubits") for row in result[part])
    assert report(result) in done.stdout


def test_tables_in_the_documentation_are_those_of_the_results():
    result = json.loads((ROOT / "benchmarks/results/engines.json").read_text())
    assert compact(result) in (ROOT / "README.md").read_text()
    assert table(result) in (ROOT / "docs/engines.md").read_text()
