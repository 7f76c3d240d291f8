"""What decoding costs: ``python -m benchmarks.decode FILE.quinr [--megapixels 100] [--json PATH]``.

CPU time from bytes to values in this process, after start-up, on one thread and on all; then the same network
over a square of so many megapixels through ``quinr-pl decompress``, in a process of its own: its peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch

from quinr_pl.atomic_file import write_bytes
from quinr_pl.codec import decode
from quinr_pl.codec.file.encoder import encode


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--megapixels", type=float, default=100.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = options.file.read_bytes()
    result = {
        "file": options.file.name,
        "bytes": len(data),
        "decode": [_decode(data, threads) for threads in sorted({1, torch.get_num_threads()})],
        "large": _large(data, round(options.megapixels * 1e6)),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode())


def _decode(data: bytes, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    decode(data).network(torch.zeros(1, 2))  # start-up: libraries and compiled kernels
    wall, cpu = time.perf_counter(), time.process_time()
    values = decode(data).reconstruct()
    return {
        "threads": threads,
        "shape": list(values.shape),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }


def _large(data: bytes, pixels: int) -> dict[str, Any]:
    decoded, side = decode(data), isqrt(pixels)
    large = encode(decoded.quantized, replace(decoded.spec, shape=(side, side)))
    with tempfile.TemporaryDirectory() as folder:
        source, picture = Path(folder) / "large.quinr", Path(folder) / "large.png"
        source.write_bytes(large.data)
        start = time.perf_counter()
        command = ["-m", "quinr_pl", "decompress", str(source), "-o", str(picture)]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        size = picture.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"shape": [side, side], "seconds": seconds, "peak_mib": peak, "png_bytes": size}


if __name__ == "__main__":
    main()
