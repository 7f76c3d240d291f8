"""`quinr-pl compress`: a file in, a `.quinr` file out."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path

from quinr_pl.commands.arguments import OneLineArgumentParser, add_executor, joined_values
from quinr_pl.commands.ask import COORDINATES, EFFORTS, LATENTS, PRESETS, USUAL_EFFORT, Ask
from quinr_pl.commands.compress_files import compress_files
from quinr_pl.commands.compress_frames import USUAL_KEY_DISTANCE, compress_frames
from quinr_pl.commands.frame_files import holds_array_of_frames
from quinr_pl.commands.input_file import is_ordinary_file, read_file, require_bytes, require_file, shown
from quinr_pl.commands.kept_fit import run_kept
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.commands.rate import RatedFit
from quinr_pl.errors import QuinrError
from quinr_pl.fields import require_at_least

_ACCEPTED = "give an image, a scan (.bin, .pcd, .ply, .las, .laz), audio, a volume or a .npy array"

_SIGNATURES = ((0, b"\x93NUMPY", ".npy"), (0, b"# .PCD", ".pcd"), (0, b"ply\n", ".ply"), (0, b"LASF", ".las"))
"""Of what comes from a pipe and no kind of signal reads: place and bytes, and the suffix that they mean."""


def compress(args: list[str]) -> int:
    """Fits a network to each input and writes what the fit's best state encodes to."""
    options, overrides = _arguments(args)
    ask = Ask(
        options.bpp,
        options.bytes,
        options.psnr,
        options.preset,
        options.effort,
        options.network,
        options.bits_per_point,
        options.chamfer,
    )
    source = options.inputs[0]
    several = len(options.inputs) > 1 or os.path.isdir(source)
    if options.out_dir is not None or (several and options.output is None):
        return compress_files(options, overrides, ask, _ACCEPTED)
    _refuse_flags_of_several_files(options)
    if several or (holds_array_of_frames(Path(source)) and not _is_volume(options, overrides)):
        return compress_frames(options, overrides, ask, _ACCEPTED)
    require_file(source, _ACCEPTED)
    name = default_output(source, ".quinr") if options.output is None else options.output
    output = Output(name, source, options.overwrite)
    with output.status_elsewhere(), _readable_twice(source) as path:
        from quinr_pl.codec import limits_needed
        from quinr_pl.commands.fit_flags import FitFlags

        job = RatedFit(ask, FitFlags(options.config, overrides), path, output.name)
        beside = output.path if output.is_ordinary else None
        with redirect_stdout(sys.stderr) if options.json else nullcontext():
            compressed = run_kept(job, shown(source), beside, output.write)
        if (factor := limits_needed(compressed.data)) > 1:
            remedy = f"decompress it with --limits {math.ceil(factor)}"
            print(f"{remedy}: it takes more work than a stranger's file may", file=sys.stderr)
        if options.json:
            print(json.dumps(compressed.figures))
    if output.standard is None and not options.json:
        print(output.name)
    return 0


def _is_volume(options: argparse.Namespace, overrides: list[str]) -> bool:
    """Whether the flags say that an array is a volume: one signal, and no frames."""
    from quinr_pl.commands.fit_flags import FitFlags

    return FitFlags(options.config, overrides).reads_volumes()


def _arguments(args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own options, and the flags of `fit` for the parser that knows them."""
    parser = OneLineArgumentParser(
        "quinr-pl compress",
        description="Compress an image, a scan, audio, a volume or an array. Every override of `fit` is "
        "understood. An interrupted compress goes on when the same command is run again.",
        epilog="example: quinr-pl compress photo.png -o photo.quinr --trainer.max_steps 2000",
        allow_abbrev=False,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image (8 or 16 bit), scan (.bin, .pcd, .ply, .las, .laz), audio (.wav, .flac), volume (.nii, "
        ".nii.gz) or .npy array; - for standard input; several, or folders: with -o frames of one file, with "
        "--out-dir a file each",
    )
    parser.add_argument(
        "-o", "--output", help="the file to write; - for standard output (default: input with .quinr)"
    )
    parser.add_argument("--out-dir", metavar="FOLDER", help="of the files of several inputs")
    parser.add_argument(
        "--key-distance",
        type=int,
        default=USUAL_KEY_DISTANCE,
        metavar="K",
        help="of several frames in one file every Kth stands for itself, the others need those before them "
        f"(default: {USUAL_KEY_DISTANCE})",
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
    rate.add_argument(
        "--bpp",
        type=float,
        help="bits for each pixel, sample or voxel, of all frames, at most (default: 0.1)",
    )
    rate.add_argument("--bytes", type=int, help="size of the whole file, at most")
    rate.add_argument("--psnr", type=float, help="dB, of each frame, at least")
    rate.add_argument(
        "--bits-per-point", type=float, metavar="BITS", help="of a scan, bits for each point, at most"
    )
    rate.add_argument(
        "--chamfer", type=float, metavar="METRES", help="of a scan, Chamfer distance of its points, at most"
    )
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
    add_executor(
        parser, "of several inputs, so many at a time, with one thread each (default: one for each core)"
    )
    parser.add_argument("--json", action="store_true", help="print the file's figures as JSON")
    options, overrides = parser.parse_known_args(joined_values(args, parser))
    for override in overrides:
        if not override.startswith("-"):
            raise QuinrError(f"{override}: give the inputs one after another, before the flags")
    require_at_least(1, {"--key-distance": options.key_distance})
    return options, overrides


def _refuse_flags_of_several_files(options: argparse.Namespace) -> None:
    """Refuses flags that one output has no use for.

    Raises:
        QuinrError: That names the flag.
    """
    for flag, value, usual in (
        ("--processes", options.processes, None),
        ("--executor", options.executor, "local"),
    ):
        if value != usual:
            raise QuinrError(f"{flag} {value}: shares out files; name a folder for them by --out-dir")


@contextmanager
def _readable_twice(name: str) -> Iterator[Path]:
    """A path of an input; what comes from a pipe is laid into a file."""
    if is_ordinary_file(name):
        # An absolute one is never taken for a number, and ~ at its beginning never for a home.
        yield Path(name).absolute()
        return
    data = read_file(name, remedy=_ACCEPTED)
    require_bytes(name, len(data), _ACCEPTED)
    with tempfile.TemporaryDirectory(prefix="quinr-pl-") as folder:
        path = Path(folder, f"input{_suffix_of(data)}")
        path.write_bytes(data)
        yield path


def _suffix_of(data: bytes) -> str:
    """What a file's bytes say that it is; empty for pictures, which tell their formats themselves."""
    from quinr_pl.signals.kinds import all_kinds

    of_kinds = [signature for kind in all_kinds() for signature in kind.signatures]
    known = (*_SIGNATURES, *of_kinds)
    return next((suffix for place, magic, suffix in known if data.startswith(magic, place)), "")
