"""`quinr-pl compress`: a file in, a `.quinr` file out."""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quinr_pl.datamodules import ImageDataModule
    from quinr_pl.signal import SignalSpec

from quinr_pl.commands.arguments import OneLineArgumentParser
from quinr_pl.errors import QuinrError

_PSNR_TRIES, _PSNR_TOLERANCE, _PSNR_MOST_BPP = 5, 0.2, 2.0


def compress(args: list[str]) -> int:
    """Fits a network to one file and writes what the fit's best state encodes to."""
    parser = OneLineArgumentParser(
        "quinr-pl compress",
        description="Compress an image, a range scan or an array. Every override of `fit` is understood.",
        epilog="example: quinr-pl compress photo.png -o photo.quinr --trainer.max_steps 2000",
    )
    parser.add_argument("input", type=Path, help="image (8 or 16 bit), KITTI .bin scan or .npy array")
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: input with .quinr)")
    parser.add_argument("--config", help="a YAML file or a packaged config (default: compress.yaml)")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--bpp", type=float, help="bits for each pixel, at most; picks network and quantizer")
    rate.add_argument("--psnr", type=float, help="dB, at least; a few fits, one after another, find the size")
    rate.add_argument(
        "--preset", choices=("tiny", "small", "medium", "large"), help="0.02 to 0.2 bpp, and a mask"
    )
    options, overrides = parser.parse_known_args(args)
    output = options.output or options.input.with_suffix(".quinr")
    if not output.parent.is_dir():
        raise QuinrError(f"--output {output}: there is no folder {output.parent}; make it first")

    from quinr_pl.atomic_file import write_bytes
    from quinr_pl.codec import limits_needed

    with tempfile.TemporaryDirectory() as folder:
        if options.psnr is not None:
            data = _reach_psnr(options, overrides, Path(folder))
        else:
            data = _fit_to_rate(options, overrides, Path(folder))
        write_bytes(output, data)
    print(output)
    if (factor := limits_needed(data)) > 1:
        print(
            f"decompress it with --limits {math.ceil(factor)}: it takes more work than a stranger's file may"
        )
    return 0


def _signal(options: argparse.Namespace, overrides: list[str]) -> ImageDataModule:
    """The signal that a fit with these overrides will have."""
    import yaml

    from quinr_pl.datamodules import ImageDataModule

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scans = ("points", "projection", "height", "width", "fov_up", "fov_down", "peak", "mask")
    for name in ("channel_axis", "floats", "byte_order", "float_bits", *scans):
        parser.add_argument(f"--data.{name}", dest=name, type=yaml.safe_load, default=argparse.SUPPRESS)
    data = ImageDataModule(str(options.input), **vars(parser.parse_known_args(overrides)[0]))
    data.setup()
    return data


def _fit_to_rate(options: argparse.Namespace, overrides: list[str], folder: Path) -> bytes:
    """The file of one fit, of at most the size that --bpp or --preset allow if one is given."""
    from quinr_pl.codec.encoder import mask_bytes
    from quinr_pl.codec.rate_control import FEWEST_BYTES, PRESETS

    if options.preset is None and options.bpp is None:
        return _fit_file(options, overrides, folder)
    spec = _signal(options, overrides).spec
    mask = mask_bytes(spec)
    if options.preset is not None:
        most_bytes = mask + max(FEWEST_BYTES, int(PRESETS[options.preset] * spec.pixels / 8))
    else:
        if not options.bpp > 0:
            raise QuinrError(f"--bpp {options.bpp}: must be positive")
        most_bytes = int(options.bpp * spec.pixels / 8)
        if mask and most_bytes < mask + FEWEST_BYTES:
            raise QuinrError(
                f"--bpp {options.bpp}: {most_bytes} bytes are too few for the mask's {mask} and a network's "
                f"{FEWEST_BYTES}; ask for more, or leave the mask out (--data.mask false)"
            )
    sized = _rate_overrides(spec, folder, most_bytes)
    return _fit_file(options, sized + overrides, folder)


def _fit_file(options: argparse.Namespace, overrides: list[str], folder: Path) -> bytes:
    """The file of one fit."""
    from quinr_pl.config_files import packaged_config
    from quinr_pl.lightning_cli import QuinrCLI

    config = options.config or str(packaged_config("compress.yaml"))
    data = ["--data", "ImageDataModule", "--data.path", str(options.input)]
    run = ["--trainer.logger", "false", "--trainer.default_root_dir", str(folder)]
    QuinrCLI(["fit", "--config", config, *data, *run, *overrides])
    (written,) = folder.glob("*.quinr")
    return written.read_bytes()


def _reach_psnr(options: argparse.Namespace, overrides: list[str], folder: Path) -> bytes:
    """The smallest of a few files that reaches the PSNR asked for: a whole fit for each try."""
    from quinr_pl.codec import UNLIMITED, decompress
    from quinr_pl.codec.encoder import mask_bytes
    from quinr_pl.codec.rate_control import FEWEST_BYTES, PRESETS, bytes_for_psnr
    from quinr_pl.evaluation.metrics import psnr

    signal = _signal(options, overrides)
    fewest = FEWEST_BYTES + mask_bytes(signal.spec)
    size = max(fewest, int(PRESETS["medium"] * signal.spec.pixels / 8))
    most = max(fewest, int(_PSNR_MOST_BPP * signal.spec.pixels / 8))
    measured: list[tuple[int, float]] = []
    best: bytes | None = None
    tried: list[int] = []
    for number in range(_PSNR_TRIES):
        attempt = folder / str(number)
        attempt.mkdir()
        tried.append(size)
        sized = _rate_overrides(signal.spec, attempt, size)
        data = _fit_file(options, sized + overrides, attempt)
        reached = psnr(signal.values, decompress(data, limits=UNLIMITED), signal.spec.peak)
        print(f"try {number + 1} of at most {_PSNR_TRIES}: {reached:.2f} dB with {len(data)} bytes")
        measured.append((len(data), reached))
        if reached >= options.psnr and (best is None or len(data) < len(best)):
            best = data
        if 0 <= reached - options.psnr <= _PSNR_TOLERANCE:
            break
        # Aim at the middle of what is good enough.
        size = max(fewest, min(bytes_for_psnr(measured, options.psnr + _PSNR_TOLERANCE / 2), most))
        if size in tried:
            break
    if best is None:
        highest = max(reached for _, reached in measured)
        raise QuinrError(
            f"--psnr {options.psnr}: {len(measured)} tries of at most {_PSNR_MOST_BPP:g} bits per pixel "
            f"reached {highest:.2f} dB; ask for less, or fit longer (--trainer.max_steps)"
        )
    return best


def _rate_overrides(spec: SignalSpec, folder: Path, most_bytes: int) -> list[str]:
    """The network and the quantizer that an asked size needs, as arguments of `fit`."""
    import yaml

    from quinr_pl.codec.encoder import mask_bytes
    from quinr_pl.codec.rate_control import point_for_bytes
    from quinr_pl.config_files import packaged_config

    point = point_for_bytes(most_bytes - mask_bytes(spec), spec.channels)
    callbacks = yaml.safe_load(packaged_config("defaults.yaml").read_text())["trainer"]["callbacks"]
    quantization = {"method": "compensated", "rate": point.quantization.rate}
    callbacks[0]["init_args"]["final"] = quantization
    overlay = folder / "rate.yaml"
    overlay.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    network = point.network.items()
    return [
        "--config",
        str(overlay),
        *(str(part) for k, v in network for part in (f"--model.network.{k}", v)),
    ]
