"""What the Triton kernels become on a GPU: ``python -m benchmarks.triton_code [--json PATH]``.

Compiles them for a compute capability without such a GPU, and reads registers, spills and exchanges between
threads off the machine code. Needs Triton and no device.
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
from quinr_pl.circuit.engines.triton import kernels as triton_kernels
from quinr_pl.circuit.engines.triton.engine import MAX_QUBITS, OPTIONS, block_size

_INTEGERS = ("batch", "angle_count", "weight_count", "width", "layers")
_LISTS = ("columns", "pairs")


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
    for kernel in ("forward", "backward"):
        for qubits in options.qubits:
            row = compiled(kernel, qubits, options.capability)
            rows.append(row)
            print(f"| {' | '.join(str(value) for value in row.values())} |", flush=True)
    if options.json:
        result = {"triton": triton.__version__, "capability": options.capability, "rows": rows}
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode())


def compiled(kernel: str, qubits: int, capability: int) -> dict[str, Any]:
    """Figures of one kernel in float32."""
    function = getattr(triton_kernels, kernel)
    block = block_size(Ansatz(qubits, 1))
    constants = {"QUBITS": qubits, "BLOCK": block}
    signature = {name: _kind(name, constants) for name in function.arg_names}
    code = triton.compile(
        ASTSource(function, signature, constexprs=constants),
        target=GPUTarget("cuda", capability, 32),
        options=OPTIONS,
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
    if name in _INTEGERS:
        return "i32"
    return "*i64" if name in _LISTS else "*fp32"


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
