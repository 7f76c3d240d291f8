"""What the CUDA engine becomes on a GPU: ``python -m benchmarks.cuda_code [--json PATH]``.

Compiles its kernels by NVRTC for an architecture without such a GPU, reads registers and spills off the
machine code, and counts the instructions that a warp issues for a coordinate. To count, marks are compiled
into the code, and each stretch from mark to mark, in the order in which a circuit passes them, is as long as
the shortest way through the code, which leaves out angles of thousands of turns, and reading and writing the
few measured states. Needs NVRTC and Triton, whose disassembler it uses, and no device.
"""

from __future__ import annotations

import argparse
import heapq
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import triton

from benchmarks.cases import MAIN, Case
from quinr_pl.atomic_file import write_bytes
from quinr_pl.circuit.engines.cuda import code
from quinr_pl.circuit.engines.cuda.call import lane_qubits
from quinr_pl.circuit.engines.cuda.engine import MAX_QUBITS
from quinr_pl.circuit.lowering.plan import plan
from quinr_pl.native import cuda_compiler

PLACES = ("ITERATION", "ANGLE", "FOLD", "LAYER", "EMBEDDING", "PLAIN", "UNFOLD")
"""The marks, as in device.cuh."""
_LARGE = 1 << 20
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def main() -> None:
    """Print a line for each kernel, then one for each circuit of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda_code",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--qubits", nargs="+", type=int, default=list(range(1, MAX_QUBITS + 1)))
    parser.add_argument("--lanes", type=int, help="lanes of a coordinate; default: those of large batches")
    parser.add_argument("--dtypes", nargs="+", choices=_DTYPES, default=["float32"])
    parser.add_argument("--architecture", default="sm_90", help="sm_90: Hopper")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, circuits = [], []
    print(
        "| kernel | qubits | dtype | lanes | registers | spilled bytes |",
        "|---|---:|---|---:|---:|---:|",
        sep="\n",
    )
    for qubits in options.qubits:
        for dtype in options.dtypes:
            lanes = _lane_qubits(qubits, dtype, options.lanes)
            for row in usage(qubits, lanes, dtype, options.architecture):
                rows.append(row)
                print(f"| {' | '.join(str(value) for value in row.values())} |", flush=True)
    print("\n| circuit | lanes | forward | backward | both |", "|---|---:|---:|---:|---:|", sep="\n")
    for case in MAIN:
        if case.qubits in options.qubits:
            circuits.append(
                instructions(case, _lane_qubits(case.qubits, "float32", options.lanes), options.architecture)
            )
            print(f"| {' | '.join(str(value) for value in circuits[-1].values())} |", flush=True)
    if options.json:
        result = {"nvrtc": cuda_compiler.version(), "architecture": options.architecture, "rows": rows}
        write_bytes(options.json, (json.dumps({**result, "circuits": circuits}, indent=1) + "\n").encode())


def _lane_qubits(qubits: int, dtype: str, lanes: int | None) -> int:
    return lane_qubits(qubits, _LARGE, _DTYPES[dtype]) if lanes is None else lanes.bit_length() - 1


def usage(qubits: int, lanes: int, dtype: str, architecture: str) -> list[dict[str, Any]]:
    """Registers and bytes of stack of each kernel; ``lanes`` qubits number the lanes of a coordinate."""
    cubin = cuda_compiler.compiled(code.source(), architecture, code.constants(qubits, lanes, _DTYPES[dtype]))
    text = _tool("cuobjdump", cubin, "--dump-resource-usage")
    found = re.findall(r"Function (\w+):\s*\n\s*REG:(\d+) STACK:(\d+)", text)
    return [
        {
            "kernel": kernel,
            "qubits": qubits,
            "dtype": dtype,
            "lanes": 1 << lanes,
            "registers": int(registers),
            "spilled_bytes": int(stack),
        }
        for kernel, registers, stack in sorted(found)
    ]


def instructions(case: Case, lanes: int, architecture: str) -> dict[str, Any]:
    """Warp instructions for a coordinate in float32, forward and backward."""
    constants = (*code.constants(case.qubits, lanes, torch.float32), ("PLACES", 1))
    cubin = cuda_compiler.compiled(code.source(), architecture, constants)
    listing = _tool("nvdisasm", cubin, "-c")
    coordinates = 32 >> lanes
    counts = {}
    for kernel in ("forward", "backward"):
        machine = _Machine.of(listing, kernel)
        counts[kernel] = round(machine.length(_way(case, lanes, kernel)) / coordinates)
    return {"circuit": case.name, "lanes": 1 << lanes, **counts, "both": sum(counts.values())}


def _way(case: Case, lanes: int, kernel: str) -> Iterator[str]:
    """The marks that a warp passes from one group of coordinates to the next."""
    circuit, folds = plan(case.ansatz), case.folds
    yield from ["ITERATION", *["ANGLE"] * -(-case.ansatz.features_count >> lanes)]
    layers = list(circuit.embeds)
    if kernel == "forward":
        yield from ["FOLD"] * folds
        for embeds in layers[1:]:
            yield from ["LAYER", *(["EMBEDDING", *["FOLD"] * folds] if embeds else ["PLAIN"])]
    else:
        for layer in reversed(range(len(layers))):
            yield "LAYER"
            if not layers[layer]:
                yield "PLAIN"
                continue
            matrices, angles = ["FOLD"] * (folds if layer else 0), ["UNFOLD"] * folds
            yield from ["EMBEDDING", *(matrices + angles if lanes else angles + matrices)]
    yield "ITERATION"


@dataclass
class _Machine:
    """Machine code of a kernel.

    Attributes:
        marks: Mark of an instruction, or None.
        following: Instructions that may come after each.
    """

    marks: list[str | None] = field(default_factory=list)
    following: list[list[int]] = field(default_factory=list)
    _known: dict[int, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, listing: str, kernel: str) -> _Machine:
        """Read off the disassembler's text."""
        machine, labels, jumps = cls(), {}, {}
        section = listing.partition(f".text.{kernel},")[2].partition("\n\t.section")[0]
        for line in section.splitlines():
            if label := re.match(r"(\.L_\w+):", line):
                labels[label[1]] = len(machine.marks)
            if not (found := re.match(r"\s+/\*[0-9a-f]+\*/\s+(@!?\w+ )?\s*(\S+)(.*);", line)):
                continue
            guard, name, rest = found.groups()
            at = len(machine.marks)
            mark = re.match(r"\s*0x(\w+)", rest) if name == "PMTRIG" else None
            machine.marks.append(PLACES[int(mark[1], 16).bit_length() - 1] if mark else None)
            # BRA.DIV leaves the way where lanes have gone apart, which these never do.
            ends = name in ("EXIT", "RET") or (name.startswith("BRA") and name != "BRA.DIV")
            machine.following.append([] if ends and not guard else [at + 1])
            if target := re.search(r"`\((\.L_\w+)\)", rest) if name.startswith("BRA") else None:
                jumps[at] = target[1]
        for at, label in jumps.items():
            machine.following[at].append(labels[label])
        return machine

    def length(self, way: Iterator[str]) -> int:
        """Fewest instructions from the first mark to the last, marks not counted."""
        lengths = {self.marks.index(next(way)): 0}
        for mark in way:
            further: dict[int, int] = {}
            for start, before in lengths.items():
                for at, stretch in self._stretches(start).items():
                    if self.marks[at] == mark:
                        further[at] = min(before + stretch, further.get(at, before + stretch))
            if not further:
                raise ValueError(f"no way to {mark} from instructions {sorted(lengths)}")
            lengths = further
        return min(lengths.values())

    def _stretches(self, start: int) -> dict[int, int]:
        """Fewest instructions from a mark to each that may come next."""
        if start not in self._known:
            found: dict[int, int] = {}
            seen, waiting = set(), [(0, following) for following in self.following[start]]
            while waiting:
                length, at = heapq.heappop(waiting)
                if at in seen:
                    continue
                seen.add(at)
                if self.marks[at] is not None:
                    found[at] = length
                    continue
                for following in self.following[at]:
                    heapq.heappush(waiting, (length + 1, following))
            self._known[start] = found
        return self._known[start]


def _tool(name: str, cubin: bytes, option: str) -> str:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run(
            [str(tool), option, file.name], capture_output=True, text=True, check=True
        ).stdout


if __name__ == "__main__":
    main()
