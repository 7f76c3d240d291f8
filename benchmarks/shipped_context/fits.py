"""Short fits to crops: ``python -m benchmarks.shipped_context.fits FOLDER PHOTOGRAPH ... --bpp 0.1 0.3``.

Each fit leaves ``NAME-BPP.quinr`` in the folder, and its figures in ``NAME-BPP.json``; what is there is not
fitted again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.crops import Crop, network_for, train
from quinr_pl.atomic_file import write_bytes
from quinr_pl.codec import Nearest, compress
from quinr_pl.native.memory import keep_freed_memory
from quinr_pl.native.threads import native_threads


def main() -> None:
    """Fits whatever is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_context.fits", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1, 0.3])
    parser.add_argument("--steps", type=int, default=420)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    with native_threads(count=1):
        for photograph in options.photographs:
            crop = Crop.of(photograph)
            for bpp in options.bpp:
                path = options.folder / f"{crop.name}-{bpp:g}.quinr"
                if not path.exists():
                    print(_fit(crop, bpp, options.steps, path), flush=True)


def _fit(crop: Crop, bpp: float, steps: int, path: Path) -> str:
    """Fits a crop, writes its file with hardly rounded weights, and tells of it."""
    start = time.perf_counter()
    network = network_for(bpp, crop.rate_weight(bpp), crop.seed)
    figures = train(network, crop, steps)
    figures["rate_weight"] = network.rate_weight
    write_bytes(path.with_suffix(".json"), json.dumps(figures).encode())
    write_bytes(path, compress(network, crop.spec, Nearest(bits=12)).data)
    psnr, seconds = -10 * np.log10(figures["mse"]), time.perf_counter() - start
    return f"{path.name}: {figures['bpp']:.4f} bpp of latents, {psnr:.2f} dB, {seconds:.1f} s"


if __name__ == "__main__":
    main()
