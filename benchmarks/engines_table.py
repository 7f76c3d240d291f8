"""The tables of the engine benchmark, as Markdown, from the results that it wrote.

``python -m benchmarks.engines_table RESULTS.json`` has all that was measured; with ``--compact``, training
steps only, an engine a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import MAIN, Case
from benchmarks.peers import PACKAGED

_COMPARED = ("lightning.qubit", "default.qubit", "best packaged", "jax-merged")

Row = dict[str, Any]


def table(result: dict[str, Any]) -> str:
    """The best batch of each engine on each circuit, and ours as a multiple of it."""
    machine, rows = result["machine"], result["rows"]
    lines = [
        f"{machine.get('gpu', machine['processor'])}, {machine['threads']} threads, "
        f"matrix product {machine['matrix_product_gflops']:.0f} GFLOP/s",
        "",
        "| circuit | engine | training step, coordinates/s | ours is | forward, coordinates/s | ours is |",
        "|---|---|---:|---:|---:|---:|",
    ]
    cases = list(dict.fromkeys(Case.of(row) for row in rows))
    for case in cases:
        lines += _lines(case, [row for row in rows if Case.of(row) == case])
    verdicts = [
        _verdict(case, [row for row in rows if Case.of(row) == case]) for case in cases if case in MAIN
    ]
    skipped = [
        f"- {item['engine']} on {Case.of(item).name}: {item['reason']}" for item in result.get("skipped", ())
    ]
    return "\n".join([*lines, "", *filter(None, verdicts), *skipped])


def compact(result: dict[str, Any]) -> str:
    """Training steps at the best batch: an engine a line, two columns a circuit, the fastest first."""
    rows = [row for row in result["rows"] if row["mode"] == "train"]
    cases = list(dict.fromkeys(Case.of(row) for row in rows))
    best = {case: _best([row for row in rows if Case.of(row) == case], "train") for case in cases}
    lines = [
        "| coordinates/s | " + " | ".join(f"{case.name} | ours is" for case in cases) + " |",
        "|---|" + "---:|---:|" * len(cases),
    ]
    engines = dict.fromkeys(row["engine"] for row in rows)
    for engine in sorted(engines, key=lambda name: -best[cases[0]].get(name, 0.0)):
        cells = []
        for case in cases:
            rate = best[case].get(engine)
            cells += [f"{rate:,.0f}", f"{best[case]['cpu'] / rate:,.0f}×"] if rate else ["", ""]
        lines.append(f"| {engine} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _lines(case: Case, rows: list[Row]) -> list[str]:
    best = {mode: _best(rows, mode) for mode in ("train", "forward")}
    ours = next((name for name in ("cpu", "triton") if name in best["train"] or name in best["forward"]), "")
    lines = []
    for engine in dict.fromkeys(row["engine"] for row in rows):
        cells = [case.name, engine]
        for mode in ("train", "forward"):
            rate, own = best[mode].get(engine), best[mode].get(ours)
            cells.append(f"{rate:,.0f}" if rate else "")
            cells.append(f"{own / rate:,.1f}×" if rate and own else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _verdict(case: Case, rows: list[Row]) -> str:
    """How many times as fast as others ours is on a main circuit."""
    best = _best(rows, "train")
    if "cpu" not in best:
        return ""
    packaged = [best[name] for name in PACKAGED if name in best]
    rates = {**best, **({"best packaged": max(packaged)} if packaged else {})}
    found = [f"{best['cpu'] / rates[name]:,.1f} times {name}" for name in _COMPARED if name in rates]
    shares = [row.get("share_of_matrix_product", 0.0) for row in rows if row["mode"] == "train"]
    found.append(f"{max(shares):.0%} of the matrix product")
    return f"- n = {case.qubits}: {', '.join(found)}"


def _best(rows: list[Row], mode: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for row in rows:
        if row["mode"] == mode:
            best[row["engine"]] = max(best.get(row["engine"], 0.0), row["coords_per_s"])
    return best


if __name__ == "__main__":
    chosen = compact if "--compact" in sys.argv[2:] else table
    print(chosen(json.loads(Path(sys.argv[1]).read_text())))
