"""The command line: the composition root, and the only place that knows all the others.

Heavy imports wait inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from quinr_pl.datamodules import ImageDataModule
    from quinr_pl.signal import SignalSpec

from quinr_pl._version import __version__
from quinr_pl.errors import QuinrError

_PSNR_TRIES, _PSNR_TOLERANCE, _PSNR_MOST_BPP = 5, 0.2, 2.0


class OneLineArgumentParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Raises QuinrError, which ends the program with exit status 2."""
        raise QuinrError(f"{message}; see {self.prog} --help")


def lightning(args: list[str]) -> int:
    """fit, validate, test, predict."""
    from quinr_pl.lightning_cli import QuinrCLI

    QuinrCLI(args)
    return 0


def compress(args: list[str]) -> int:
    """Fits a network to one file and writes what the fit's best state encodes to."""
    parser = OneLineArgumentParser(
        "quinr-pl compress",
        description="Compress an image, a range scan or an array. Every override of `fit` is understood.",
        epilog="example: quinr-pl compress photo.png -o photo.quinr --trainer.max_steps 2000",
    )
    parser.add_argument("input", type=Path, help="image (8 or 16 bit), KITTI .bin scan or .npy array")
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: input with .quinr)")
    parser.add_argument("--config", default="compress.yaml", help="a YAML file or a packaged config")
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

    with tempfile.TemporaryDirectory() as folder:
        if options.psnr is not None:
            data = _reach_psnr(options, overrides, Path(folder))
        else:
            data = _fit_to_rate(options, overrides, Path(folder))
        write_bytes(output, data)
    print(output)
    return 0


def _signal(options: argparse.Namespace, overrides: list[str]) -> ImageDataModule:
    """The signal that a fit with these overrides will have."""
    import yaml

    from quinr_pl.datamodules import ImageDataModule

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("projection", "height", "width", "fov_up", "fov_down", "peak", "mask"):
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
    from quinr_pl.lightning_cli import QuinrCLI

    data = ["--data", "ImageDataModule", "--data.path", str(options.input)]
    run = ["--trainer.logger", "false", "--trainer.default_root_dir", str(folder)]
    QuinrCLI(["fit", "--config", options.config, *data, *run, *overrides])
    (written,) = folder.glob("*.quinr")
    return written.read_bytes()


def _reach_psnr(options: argparse.Namespace, overrides: list[str], folder: Path) -> bytes:
    """The smallest of a few files that reaches the PSNR asked for: a whole fit for each try."""
    from quinr_pl.codec import decompress
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
        reached = psnr(signal.values, decompress(data), signal.spec.peak)
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
    from quinr_pl.lightning_cli import find_config

    point = point_for_bytes(most_bytes - mask_bytes(spec), spec.channels)
    callbacks = yaml.safe_load(Path(find_config("defaults.yaml")).read_text())["trainer"]["callbacks"]
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


def decompress(args: list[str]) -> int:
    """Decodes a file to a picture or an array."""
    parser = OneLineArgumentParser("quinr-pl decompress", description="Decode a .quinr file.")
    parser.add_argument("input", type=Path, help=".quinr file")
    parser.add_argument("-o", "--output", type=Path, help=".png, or .npy to keep floats and metres")
    options = parser.parse_args(args)

    from quinr_pl.codec import decode
    from quinr_pl.datamodules.image_file import write_signal

    decoded = decode(_read(options.input), str(options.input))
    suffix = ".png" if decoded.spec.kind.is_image else ".npy"
    output = options.output or options.input.with_suffix(suffix)
    write_signal(decoded.reconstruct(), decoded.spec, output)
    print(output)
    return 0


def inspect(args: list[str]) -> int:
    """Shows what a file holds."""
    parser = OneLineArgumentParser("quinr-pl inspect", description="Show what a .quinr file holds.")
    parser.add_argument("input", type=Path, help=".quinr file")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(args)

    from quinr_pl import codec

    description = codec.inspect(_read(options.input), str(options.input))
    if options.json:
        print(json.dumps(description, indent=2))
        return 0
    for name, value in description.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, item in value.items():
                print(f"  {key + ':':<22} {item}")
        else:
            print(f"{name + ':':<24} {value}")
    return 0


def compare(args: list[str]) -> int:
    """Rate and distortion of methods, images and seeds."""
    parser = OneLineArgumentParser(
        "quinr-pl compare",
        description="Rate and distortion of methods, images and seeds: a report from one command. "
        "A comparison that was interrupted goes on where it was.",
        epilog="example: quinr-pl compare --config kodak_rd_quick.yaml --processes 2",
    )
    parser.add_argument("--config", required=True, help="a YAML file or a packaged comparison")
    parser.add_argument("--folder", help="where the jobs and the report lie")
    parser.add_argument("--root", help="folder of the data, instead of QUINR_DATA")
    parser.add_argument("--images", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N")
    parser.add_argument("--processes", type=int, metavar="N", help="jobs at a time, of one thread each")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--address", default="auto", help="of the Ray cluster")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--report-only", action="store_true", help="of the jobs that are finished")
    mode.add_argument("--verify", action="store_true", help="decode every file again, recompute its figures")
    options = parser.parse_args(args)

    from quinr_pl.compare_cli import compare as run

    return run(options)


def search(args: list[str]) -> int:
    """The best settings of a fit at a number of bytes."""
    parser = OneLineArgumentParser(
        "quinr-pl search",
        description="Find the settings of a fit that give the best PSNR at a number of bytes. A search "
        "that was interrupted goes on where it was.",
        epilog="example: quinr-pl search --config kodak_search.yaml --trials 30",
    )
    parser.add_argument("--config", required=True, help="a YAML file or a packaged search")
    parser.add_argument("--folder", help="where the study, the trials and the best config lie")
    parser.add_argument("--root", help="folder of the data, instead of QUINR_DATA")
    parser.add_argument("--bytes", type=int, metavar="N", help="what a file may take")
    parser.add_argument("--trials", type=int, metavar="N", help="in all, pruned ones included")
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time, of one thread each")
    parser.add_argument("--seed", type=int, metavar="N", help="of the sampler")
    parser.add_argument("--storage", help="URL of a database (default: SQLite in the folder)")
    options = parser.parse_args(args)

    from quinr_pl.search import search as run

    return run(options)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise QuinrError(f"{path}: cannot read ({error.strerror}); give a .quinr file") from error


Command = Callable[[list[str]], int]

COMMANDS: dict[str, tuple[Command, str]] = {
    "fit": (
        lightning,
        "fit a network to a signal: --config kodak.yaml | kitti.yaml | sample.yaml | your own",
    ),
    "validate": (lightning, "PSNR and size of a fitted network"),
    "test": (lightning, "the same under the test/ names"),
    "predict": (lightning, "save the reconstruction of a fitted network"),
    "compress": (compress, "photo.png -> photo.quinr"),
    "decompress": (decompress, "photo.quinr -> photo.png or .npy"),
    "inspect": (inspect, "architecture, shape, bytes by section"),
    "search": (search, "the best settings at a number of bytes: --config kodak_search.yaml | your own"),
    "compare": (compare, "rate and distortion of methods: --config kodak_rd.yaml | kitti_rd.yaml | your own"),
}


def _help() -> str:
    width = shutil.get_terminal_size().columns
    lines = [f"  {name:<12} {text}"[:width] for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: quinr-pl COMMAND ...   (quinr-pl COMMAND --help tells more)",
            "",
            "Compress images and LiDAR range images with quantum implicit neural representations.",
            "",
            *lines,
            "",
            "  --version    print the version",
        ]
    )


def _nobody_reads() -> bool:
    """Whether the reader of the output has gone, tried with an empty line; then the rest is dropped."""
    try:
        print(flush=True)
    except BrokenPipeError:
        # Python would try to write the rest once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        args: Command line without the program's name; that of the process when left out.

    Returns:
        Exit status: 0, 2 for bad input, 130 when interrupted, 141 when nobody reads the output any more.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(f"quinr-pl {__version__}")
        return 0
    try:
        if arguments[0] not in COMMANDS:
            raise QuinrError(f"{arguments[0]}: no such command; there are {', '.join(COMMANDS)}")
        command, _ = COMMANDS[arguments[0]]
        status = command(arguments if command is lightning else arguments[1:])
        sys.stdout.flush()
        return status
    except QuinrError as error:
        print(f"quinr-pl: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        if not _nobody_reads():  # a worker's pipe, say
            raise
        return 141
    except KeyboardInterrupt:
        print("quinr-pl: interrupted", file=sys.stderr)
        return 130
    except SystemExit as stop:
        # Lightning ends an interrupted fit with exit(1).
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        print("quinr-pl: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
