"""How well the decoder's count of work agrees with the time that files take.

    python -m benchmarks.decode_cost

Each line is a valid file made by hand: its counted operations, the processor time of decoding it on one
thread, and the nanoseconds of an operation. These should lie at or below those of the large matrix product,
0.035 where the weights of quinr_pl/codec/file/limits.py were measured: what lies above costs more than it
counts.
"""

from __future__ import annotations

import time

import torch

from benchmarks.handmade_files import Header, with_payloads
from quinr_pl.codec import UNLIMITED, DecodeLimits, decompress, limits_needed
from quinr_pl.signals import RANGE_IMAGE

_CIRCUIT = {"qubits": 4, "angles": 8, "uploads": 2, "layers": 1, "pairs": "ring"}
CASES = {
    "large matrix product": Header("COIN", {"layers": 2, "width": 2048}, 60, 60),
    "usual sine layers": Header("COIN", {"layers": 13, "width": 49}, 400, 600),
    "narrow sine layers": Header("COIN", {"layers": 64, "width": 8}, 400, 600),
    "many channels": Header("COIN", {"layers": 1, "width": 8}, 200, 300, channels=60),
    "usual circuit": Header("QuINR", {**_CIRCUIT, "angles": 12, "sine_layers": 4}, 600, 900),
    "many layers": Header("QuINR", {**_CIRCUIT, "angles": 1, "layers": 200}, 200, 300),
    "many angles": Header("QuINR", {**_CIRCUIT, "qubits": 1, "angles": 512}, 200, 300),
    "many uploads": Header("QuINR", {**_CIRCUIT, "angles": 4, "uploads": 200}, 200, 200),
    "many qubits": Header("QuINR", {**_CIRCUIT, "qubits": 12, "angles": 12, "layers": 4}, 80, 80),
    "many stages": Header("QuINR", {**_CIRCUIT, "qubits": 7, "stages": 16}, 100, 100),
    "usual latents": Header("LatentQuINR", {"finest": 0, "grids": 7}, 512, 768),
    "wide context": Header("LatentQuINR", {"finest": 0, "neighbours": 24, "context_width": 256}, 200, 300),
    "wavefronts": Header("LatentQuINR", {"finest": 0}, 3000, 2),
    "coarse latents": Header("LatentQuINR", {"finest": 8, "grids": 12}, 500, 800),
    "wide twin": Header("LatentQuINR", {"synthesis": "relu", "angles": 64, "uploads": 20}, 200, 200),
    "filters": Header("LatentQuINR", {"filters": 8, "grids": 3}, 200, 200, channels=16),
    "mask": Header("COIN", {"layers": 1, "width": 1}, 1000, 1500, 1, RANGE_IMAGE.code),
}


def main() -> None:
    torch.set_num_threads(1)
    limits = DecodeLimits(UNLIMITED.file_bytes, UNLIMITED.pixels, UNLIMITED.memory, 1, 0)
    for name, header in CASES.items():
        mask = header.kind == RANGE_IMAGE.code
        data = with_payloads(header, mask=mask)
        decompress(with_payloads(Header(header.network, header.fields, 2, 2, header.channels)))  # start-up
        start = time.process_time()
        decompress(data)
        seconds, operations = time.process_time() - start, limits_needed(data, limits)
        print(f"{name:22} {operations:9.2e} operations {seconds:7.3f} s {1e9 * seconds / operations:7.4f} ns")


if __name__ == "__main__":
    main()
