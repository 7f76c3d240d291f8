"""What the Triton kernels become on a GPU: ``python -m benchmarks.triton_code [--json PATH]``.

Compiles them for a compute capability without such a GPU, and reads registers, spills (with the stack of sine
and cosine) and exchanges between threads off the machine code. Needs Triton and no device.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from quinr_pl.atomic_file import write_bytes
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.triton import kernels, trained
from quinr_pl.circuit.engines.triton.call import (
    FINISH_OPTIONS,
    OPTIONS,
    PREPARE_OPTIONS,
    block_size,
    finish_constants,
    prepare_constants,
)
from quinr_pl.circuit.engines.triton.engine import MAX_QUBITS

_SIZES = {*kernels.SIZES, *trained.SIZES}
_INTEGERS = ("folds", "columns", "position", "chains", "diagonal")
_DOUBLES = ("constants", "generators", "after")


def main() -> None:
    """Print a line for each kernel."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triton_code", description=__doc__)
    parser.add_argument("--qubits", nargs="+", type=int, default=list(range(1, MAX_QUBITS + 1)))
    parser.add_argument("--capability", type=int, default=90, help="90: Hopper")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print("| kernel | qubits | coordinates a warp | registers | spilled bytes | shuffles | shared bytes |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kernel in ("prepare", "forward", "backward", "finish"):
        for qubits in options.qubits:
            row = compiled(kernel, qubits, options.capability)
            rows.append(row)
            print(f"| {' | '.join(str(value) for value in row.values())} |", flush=True)
    if options.json:
        result = {"triton": triton.__version__, "capability": options.capability, "rows": rows}
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode())


def compiled(kernel: str, qubits: int, capability: int) -> dict[str, Any]:
    """Figures of one kernel in float32."""
    ansatz = Ansatz(qubits, qubits)
    block = block_size(ansatz)
    shared = kernel in ("prepare", "finish")
    function = getattr(trained if shared else kernels, kernel)
    constants: dict[str, int] = {
        "forward": {"KEEP": True, "FIRST_RX": True, "QUBITS": qubits, "BLOCK": block},
        "backward": {"FIRST_RX": True, "QUBITS": qubits, "BLOCK": block},
        "prepare": prepare_constants(ansatz, qubits * (qubits - 1)),
        "finish": finish_constants(ansatz),
    }[kernel]
    signature = {name: _kind(name, constants) for name in function.arg_names}
    # Memory that torch gives begins at multiples of 16 bytes, and Triton compiles for it.
    aligned = {
        (at,): [["tt.divisibility", 16]] for at, kind in enumerate(signature.values()) if kind[0] == "*"
    }
    code = triton.compile(
        ASTSource(function, signature, constexprs=constants, attrs=aligned),
        target=GPUTarget("cuda", capability, 32),
        options={"prepare": PREPARE_OPTIONS, "finish": FINISH_OPTIONS}.get(kernel, OPTIONS),
    )
    usage = _resource_usage(code.asm["cubin"])
    return {
        "kernel": kernel,
        "qubits": qubits,
        "block": block,
        "registers": usage["REG"],
        "spilled_bytes": usage["STACK"],
        "shuffles": len(re.findall(r"\bshfl\.", code.asm["ptx"])),
        "shared_bytes": code.metadata.shared,
    }


def _kind(name: str, constants: dict[str, int]) -> str:
    if name in constants:
        return "constexpr"
    if name in _SIZES:
        return "i32"
    return "*i32" if name in _INTEGERS else "*fp64" if name in _DOUBLES else "*fp32"


def _resource_usage(cubin: bytes) -> dict[str, int]:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "--dump-resource-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"\b(REG|STACK|SHARED):(\d+)", text)}


if __name__ == "__main__":
    main()
