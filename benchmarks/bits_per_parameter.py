"""PSNR of a fitted network's file against bits for each weight, by method of quantization.

    python -m benchmarks.bits_per_parameter runs/kodak/version_0 --image kodim02
    python -m benchmarks.bits_per_parameter runs/kitti/version_0 --scan 00/000000 --no-mask

The float weights come from the run's best checkpoint. Bits count the whole file but for a mask; PSNR is that
of the decoded file. "nearest" rounds to 2..10 bits for each weight; the others aim at as many bits of
the file.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from quinr_pl.codec import (
    Compensated,
    EncodedSignal,
    Nearest,
    Stepwise,
    compress,
    decompress,
    encode,
)
from quinr_pl.codec.file.encoder import bytes_for_rate, mask_bytes
from quinr_pl.codec.rounding.compensated import CompensatedQuantizer
from quinr_pl.datamodules import KittiRangeImageDataModule, KodakDataModule
from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import CoordinateNetwork
from quinr_pl.signals.distortion import psnr


def float_psnr(network: CoordinateNetwork, data: CoordinateDataModule) -> float:
    """PSNR of the unquantized network, its values rounded like those of a file."""
    values = data.spec.denormalize(network.evaluate(data.coordinates).numpy()).reshape(data.values.shape)
    return psnr(data.values, data.spec.masked(values), data.spec.peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    signal = parser.add_mutually_exclusive_group(required=True)
    signal.add_argument("--image", help="kodim01 to kodim24")
    signal.add_argument("--scan", help="sequence/frame")
    parser.add_argument("--no-mask", action="store_true", help="of a scan fitted with --data.mask false")
    parser.add_argument("--bits", type=int, nargs="+", default=list(range(2, 11)))
    parser.add_argument("--stepwise", type=int, nargs="*", default=[3, 4, 5, 6, 7], help="bits for stepwise")
    arguments = parser.parse_args()
    data: CoordinateDataModule
    if arguments.image:
        data = KodakDataModule(image=arguments.image)
    else:
        data = KittiRangeImageDataModule(*arguments.scan.split("/"), mask=not arguments.no_mask)
    data.setup("fit")
    checkpoint = arguments.run / "checkpoints" / "best.ckpt"
    network = CoordinateNetworkModule.load_from_checkpoint(checkpoint, map_location="cpu").network.eval()
    table(network, data, arguments.bits, arguments.stepwise)


def table(
    network: CoordinateNetwork, data: CoordinateDataModule, bits: list[int], stepwise: list[int]
) -> None:
    """Print the table as Markdown."""
    weights, base = network.parameter_count(), float_psnr(network, data)
    print(f"{data.name}: {weights} weights, {base:.3f} dB with float weights\n")
    print("| bits | nearest: bits, dB lost | compensated: bits, dB lost | stepwise: bits, dB lost |")
    print("|---|---|---|---|")
    start = time.perf_counter()
    compensated = CompensatedQuantizer(network, data.spec, Compensated())
    curvature_seconds = time.perf_counter() - start

    def cell(encoded: EncodedSignal) -> str:
        lost = base - psnr(data.values, decompress(encoded.data), data.spec.peak)
        return f"{8 * (len(encoded.data) - mask_bytes(data.spec)) / weights:.2f}, {lost:.3f}"

    for rate in bits:
        cells = [cell(compress(network, data.spec, Nearest(bits=rate)))]
        cells.append(cell(encode(compensated.at_size(bytes_for_rate(network, data.spec, rate)), data.spec)))
        if rate in stepwise:
            targets = torch.as_tensor(np.asarray(data.targets))
            cells.append(cell(compress(network, data.spec, Stepwise(rate=rate), targets)))
        else:
            cells.append("")
        print(f"| {rate} | {' | '.join(cells)} |", flush=True)
    print(f"\nThe curvature took {curvature_seconds:.0f} s.")


if __name__ == "__main__":
    main()
