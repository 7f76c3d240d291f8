"""`quinr-pl decompress`: a `.quinr` file in, a picture, an array or points out."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import calling, read_file, shown
from quinr_pl.commands.libraries import import_away_from_the_current_folder
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.errors import QuinrError
from quinr_pl.suffixes import suffix_of

if TYPE_CHECKING:
    from quinr_pl.codec import DecodedSignal


def decompress(args: list[str]) -> int:
    """Decodes a file to a picture, an array or points."""
    parser = OneLineArgumentParser(
        "quinr-pl decompress",
        description="Decode a .quinr file.",
        epilog="example: quinr-pl decompress photo.quinr -o back.png",
    )
    parser.add_argument("input", help=".quinr file; - for standard input")
    parser.add_argument(
        "-o",
        "--output",
        help=".png, or .npy to keep floats; of a scan .ply, .pcd, .bin or .npy for its points; - for "
        "standard output (default: the input's name with .png for images and .npy for the rest)",
    )
    parser.add_argument(
        "--format",
        metavar="png|npy|ply|pcd|bin",
        help="of the output, where its suffix does not say (default: as above)",
    )
    parser.add_argument(
        "--range-image",
        action="store_true",
        help="of a scan, its picture of metres (.npy, .png) and not its points",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "--engine",
        help="what runs the circuits, such as shots=1000,seed=0, instead of exactly (docs/engines.md)",
    )
    add_limits(parser)
    options = parser.parse_args(args)
    output = None if options.output is None else Output(options.output, options.input, options.overwrite)
    chosen = _chosen_suffix(options.format, output)

    from quinr_pl.codec import DecodeLimits, decode
    from quinr_pl.signals.files import usual_suffix

    limits = DecodeLimits().scaled(options.limits)
    decoded = decode(read_file(options.input, limits.file_bytes), shown(options.input), limits)
    scanned = decoded.spec.scanner is not None and not options.range_image
    chosen = chosen or usual_suffix(decoded.spec, scanned)
    engine = None
    if options.engine is not None:
        import_away_from_the_current_folder()
        from quinr_pl.codec.circuits import with_engine

        decoded, engine = with_engine(decoded, options.engine)
    if output is None:
        name = default_output(options.input, chosen)
        output = Output(name, options.input, options.overwrite)
    _write(decoded, chosen, output, scanned)
    if output.standard is None:
        print(output.name)
    if engine is not None and (report := engine.report()):
        print(report, file=sys.stderr)
    return 0


def _chosen_suffix(chosen: str | None, output: Output | None) -> str | None:
    """The suffix that ``--format`` or the output's name says; None where neither does."""
    from quinr_pl.signals.files import written_suffixes

    accepted = written_suffixes()
    if chosen is not None:
        if f".{chosen}" not in accepted:
            formats = ", ".join(suffix.removeprefix(".") for suffix in accepted)
            raise QuinrError(f"--format {chosen}: choose from {formats}")
        return f".{chosen}"
    if output is None:
        return None
    suffix = suffix_of(output.path).lower()
    if suffix in accepted:
        return suffix
    if not output.is_ordinary:
        return None
    given = suffix or "a name without a suffix"
    raise QuinrError(
        f"--output {output.name}: signals are written as {' or '.join(accepted)}, not as {given}"
    )


def _write(decoded: DecodedSignal, chosen: str, output: Output, scanned: bool) -> None:
    from quinr_pl.native.threads import native_threads
    from quinr_pl.signals.files import check_written, holds_points, write_signal, write_signal_points

    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder, f"signal{chosen}")
        as_points = scanned and holds_points(decoded.spec, aside)
        with calling(aside, output.name):
            if not as_points:
                check_written(decoded.spec, aside)
            with native_threads():
                values = decoded.reconstruct()
            write = write_signal_points if as_points else write_signal
            write(values, decoded.spec, aside)
        output.write(aside.read_bytes())
