"""`quinr-pl compress`: a file in, a `.quinr` file out."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path

from quinr_pl._version import __version__
from quinr_pl.commands.arguments import OneLineArgumentParser, joined_values
from quinr_pl.commands.ask import COORDINATES, EFFORTS, LATENTS, PRESETS, USUAL_EFFORT, Ask
from quinr_pl.commands.input_file import calling, is_ordinary_file, read_file, require_file, shown
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.commands.rate import OutOfReachError, RatedFit
from quinr_pl.errors import QuinrError

_ACCEPTED = "give an image (8 or 16 bit), a KITTI .bin scan or a .npy array"


def compress(args: list[str]) -> int:
    """Fits a network to one file and writes what the fit's best state encodes to."""
    options, overrides = _arguments(args)
    ask = Ask(options.bpp, options.bytes, options.psnr, options.preset, options.effort, options.network)
    require_file(options.input, _ACCEPTED)
    name = default_output(options.input, ".quinr") if options.output is None else options.output
    output = Output(name, options.input, options.overwrite)
    with output.status_elsewhere(), _readable_twice(options.input) as path:
        from quinr_pl.codec import limits_needed
        from quinr_pl.commands.fit_flags import FitFlags
        from quinr_pl.commands.kept_run import kept_run

        job = RatedFit(ask, FitFlags(options.config, overrides), path, output.name)
        beside = output.path if output.is_ordinary else None
        status = redirect_stdout(sys.stderr) if options.json else nullcontext()
        with kept_run(_digest(path, job), beside) as run, calling(path, shown(options.input)), status:
            try:
                compressed = job.run(run.folder)
                output.write(compressed.data)
                run.finished = True
            except OutOfReachError:
                run.finished = True
                raise
        if (factor := limits_needed(compressed.data)) > 1:
            remedy = f"decompress it with --limits {math.ceil(factor)}"
            print(f"{remedy}: it takes more work than a stranger's file may", file=sys.stderr)
        if options.json:
            print(json.dumps(compressed.figures))
    if output.standard is None and not options.json:
        print(output.name)
    return 0


def _arguments(args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own options, and the flags of `fit` for the parser that knows them."""
    parser = OneLineArgumentParser(
        "quinr-pl compress",
        description="Compress an image, a range scan or an array. Every override of `fit` is understood. "
        "An interrupted compress goes on when the same command is run again.",
        epilog="example: quinr-pl compress photo.png -o photo.quinr --trainer.max_steps 2000",
        allow_abbrev=False,
    )
    parser.add_argument(
        "input", help="image (8 or 16 bit), KITTI .bin scan or .npy array; - for standard input"
    )
    parser.add_argument(
        "-o", "--output", help="the file to write; - for standard output (default: input with .quinr)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        help="a YAML file or a packaged config to fit by instead",
    )
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--bpp", type=float, help="bits for each pixel, at most (default: 0.1)")
    rate.add_argument("--bytes", type=int, help="size of the file, at most")
    rate.add_argument("--psnr", type=float, help="dB, at least")
    rate.add_argument("--preset", choices=PRESETS, help="0.02, 0.05, 0.1 or 0.2 bpp, and a mask")
    parser.add_argument(
        "--effort",
        type=int,
        choices=EFFORTS,
        default=USUAL_EFFORT,
        help="1: a minute for a photograph of 0.4 megapixels, to 5: most of an hour (default: 3)",
    )
    parser.add_argument(
        "--network",
        choices=(LATENTS, COORDINATES),
        help="default: latents, but for the smallest files, where coordinates do better",
    )
    parser.add_argument("--json", action="store_true", help="print the file's figures as JSON")
    options, overrides = parser.parse_known_args(joined_values(args, parser))
    for override in overrides:
        if not override.startswith("-"):
            raise QuinrError(f"{override}: compress takes one input; run it once for each file")
    return options, overrides


@contextmanager
def _readable_twice(name: str) -> Iterator[Path]:
    """A path of an input; what comes from a pipe is laid into a file."""
    if is_ordinary_file(name):
        # An absolute one is never taken for a number, and ~ at its beginning never for a home.
        yield Path(name).absolute()
        return
    data = read_file(name, remedy=_ACCEPTED)
    with tempfile.TemporaryDirectory(prefix="quinr-pl-") as folder:
        path = Path(folder, "input.npy" if data.startswith(b"\x93NUMPY") else "input")
        path.write_bytes(data)
        yield path


def _digest(path: Path, job: RatedFit) -> str:
    """Names one input with one way to compress it."""
    asked = [__version__, asdict(job.ask), job.settings]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    with path.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
