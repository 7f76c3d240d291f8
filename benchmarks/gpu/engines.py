"""The engines for CUDA side by side: ``python -m benchmarks.gpu.engines [--json PATH] [--parts ...]``.

First results against torch's operations in float64, for every number of qubits; then training steps
(probabilities of the last three states, gradients in angles and weights) and forward passes of ``cuda`` and
``triton``, called from Python and from a CUDA graph, in coordinates per second; then each number of lanes
that can share a coordinate. A case that fails is named with the reason, and the next goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import MAIN, Case
from benchmarks.gpu.capture import captured
from benchmarks.gpu.record import card, keep
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cuda import code
from quinr_pl.circuit.engines.cuda import engine as cuda_engine
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.circuit.engines.registry import choose

DEVICE = torch.device("cuda", 0)
BATCHES = (4096, 65536, 1 << 20, 1 << 22)
PARTS = ("results", "speed", "lanes")
SECONDS = 0.25
"""How long each thing is timed."""
LANES = {
    4: ((0, 3), (0, 4), (0, 2), (1, 5), (1, 6), (2, 6), (3, 8)),
    6: ((2, 3), (2, 4), (3, 5), (3, 6), (3, 4), (4, 7)),
    8: ((4, 3), (4, 4), (5, 5), (5, 6)),
}
"""Qubits -> qubits that number lanes, and blocks a multiprocessor holds in the backward pass."""
WIDE = Case(8, 4, 4, 2)
Row = dict[str, Any]


def main() -> None:
    """Print a line for each case, and a table last."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--limit", type=float, default=125.0, help="seconds after which no case begins")
    options = parser.parse_args()
    figures: dict[str, Any] = {"card": card(), "rows": []}
    work = {"results": _results, "speed": _speed, "lanes": _lanes}
    start = time.perf_counter()
    for part in options.parts:
        for name, measure in work[part](options.batches):
            if time.perf_counter() - start > options.limit:
                print(f"{part}: no time left")
                break
            row = _tried({"part": part, **name}, measure)
            figures["rows"].append(row)
            print(*(f"{key} {_text(value)}" for key, value in row.items()), sep="  ", flush=True)
            keep(options.json, figures)
    print(_table(figures["rows"]))


def _tried(name: Row, measure: Callable[[], Row]) -> Row:
    try:
        return {**name, **measure()}
    except Exception as error:  # the other cases are worth their time
        return {**name, "failed": str(error).strip().partition("\n")[0][:200] or type(error).__name__}
    finally:
        torch.cuda.empty_cache()


def _text(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


Cases = Iterator[tuple[Row, Callable[[], Row]]]


def _results(_: Any) -> Cases:
    """Largest differences to torch in float64, as shares of the largest number."""
    for qubits in range(1, cuda_engine.MAX_QUBITS + 1):
        for dtype in (torch.float32, torch.float64):
            for batch in (77, 40_000):
                name = {"qubits": qubits, "dtype": str(dtype).removeprefix("torch."), "batch": batch}
                yield name, lambda n=qubits, d=dtype, b=batch: {"error": _error(n, d, b)}


def _error(qubits: int, dtype: torch.dtype, batch: int) -> float:
    ansatz = Ansatz(qubits, 3 * qubits, uploads=2, layers=2)
    draw = torch.Generator().manual_seed(0)
    shapes = ((batch, ansatz.features_count), ansatz.weights_shape, (batch, ansatz.states))
    given = [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype) for shape in shapes]
    found = _values_and_gradients(choose("cuda", DEVICE), ansatz, *(tensor.to(DEVICE) for tensor in given))
    again = _values_and_gradients(choose("cuda", DEVICE), ansatz, *(tensor.to(DEVICE) for tensor in given))
    if not all(torch.equal(a, b) for a, b in zip(found, again, strict=True)):
        raise AssertionError("two runs differ")
    expected = _values_and_gradients(choose("torch"), ansatz, *(t.to(DEVICE).double() for t in given))
    pairs = zip(found, expected, strict=True)
    return max(float((a.double() - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs)


def _values_and_gradients(engine: Engine, ansatz: Ansatz, *given: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in given[:2]]
    values = engine.probabilities(ansatz, *leaves)
    return [values.detach(), *torch.autograd.grad(values, leaves, given[2])]


def _speed(batches: tuple[int, ...]) -> Cases:
    for case in MAIN:
        for batch in batches:
            for name in ("cuda", "triton"):
                for mode in ("train", "forward"):
                    yield (
                        _name(case, batch, name, mode),
                        lambda c=case, b=batch, e=name, m=mode: _rates(c, b, e, m),
                    )


def _lanes(batches: tuple[int, ...]) -> Cases:
    for case in (*MAIN, WIDE):
        for batch in [batch for batch in batches if batch <= 1 << 20]:
            for lanes, blocks in LANES[case.qubits]:
                name = {"circuit": case.name, "batch": batch, "lanes": 1 << lanes, "blocks": blocks}
                yield name, partial(_with_lanes, case, batch, lanes, blocks)


def _with_lanes(case: Case, batch: int, lanes: int, blocks: int) -> Row:
    kept = cuda_engine.lane_qubits, code.constants
    cuda_engine.lane_qubits = lambda *_: lanes
    code.constants = with_blocks(blocks)
    code.program.cache_clear()
    try:
        return _rates(case, batch, "cuda", "train", ways=("graph",))
    finally:
        cuda_engine.lane_qubits, code.constants = kept
        code.program.cache_clear()


def with_blocks(blocks: int) -> Callable[..., Any]:
    """Stands in for ``code.constants``: so many blocks of the backward pass to a multiprocessor."""
    plain = code.constants

    def constants(*given: Any) -> Any:
        return tuple((name, blocks if name == "BACKWARD_BLOCKS" else value) for name, value in plain(*given))

    return constants


def _name(case: Case, batch: int, engine: str, mode: str) -> Row:
    return {"circuit": case.name, "batch": batch, "engine": engine, "mode": mode}


def _rates(case: Case, batch: int, name: str, mode: str, ways: tuple[str, ...] = ("eager", "graph")) -> Row:
    """Coordinates per second, called from Python and from a graph."""
    engine, ansatz, states = choose(name, DEVICE), case.ansatz, list(case.states)
    angles = torch.randn(batch, ansatz.features_count, device=DEVICE, requires_grad=True)
    weights = torch.randn(ansatz.weights_shape, device=DEVICE, requires_grad=True)
    cotangent = torch.randn(batch, len(states), device=DEVICE)

    def train() -> Any:
        return torch.autograd.grad(
            engine.probabilities(ansatz, angles, weights, states), (angles, weights), cotangent
        )

    def forward() -> Any:
        with torch.no_grad():
            return engine.probabilities(ansatz, angles, weights, states)

    step = train if mode == "train" else forward
    rates: Row = {}
    for way in ways:
        try:
            rates[way] = batch / seconds(step if way == "eager" else captured(step))
        except Exception as error:  # no graph of it, perhaps
            rates[way] = str(error).strip().partition("\n")[0][:80]
    return rates


def seconds(step: Callable[[], Any]) -> float:
    """Seconds of a step, of many in a row: the fastest of three rounds."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    count = max(2, min(2000, int(SECONDS / 3 / max(1e-6, time.perf_counter() - start))))
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(count):
            step()
        torch.cuda.synchronize()
        rounds.append((time.perf_counter() - start) / count)
    return min(rounds)


def _table(rows: list[Row]) -> str:
    lines = []
    errors = [row for row in rows if row["part"] == "results"]
    for dtype in ("float32", "float64"):
        worst = [row["error"] for row in errors if row["dtype"] == dtype and "error" in row]
        if worst:
            lines.append(f"{dtype}: largest error {max(worst):.1e} in {len(worst)} cases")
    lines += [f"FAILED {row}" for row in rows if "failed" in row]
    for row in rows:
        if row["part"] == "speed" and "failed" not in row:
            rates = "  ".join(f"{way} {_rate(row.get(way))}" for way in ("eager", "graph"))
            lines.append(f"{row['circuit']}  {row['batch']:>8,}  {row['engine']:6}  {row['mode']:7}  {rates}")
        if row["part"] == "lanes" and "failed" not in row:
            shape = f"{row['lanes']:>2} lanes, {row['blocks']} blocks"
            lines.append(f"{row['circuit']}  {row['batch']:>8,}  {shape}  train {_rate(row.get('graph'))}")
    return "\n".join(lines)


def _rate(rate: Any) -> str:
    return f"{rate / 1e6:8.1f} M/s" if isinstance(rate, float) else str(rate)


if __name__ == "__main__":
    main()
