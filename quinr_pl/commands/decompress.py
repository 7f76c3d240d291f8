"""`quinr-pl decompress`: a `.quinr` file in, a picture or an array out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import calling, read_file, shown
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    from quinr_pl.codec import DecodedSignal

FORMATS = ("png", "npy")


def decompress(args: list[str]) -> int:
    """Decodes a file to a picture or an array."""
    parser = OneLineArgumentParser(
        "quinr-pl decompress",
        description="Decode a .quinr file.",
        epilog="example: quinr-pl decompress photo.quinr -o back.png",
    )
    parser.add_argument("input", help=".quinr file; - for standard input")
    parser.add_argument(
        "-o",
        "--output",
        help=".png, or .npy to keep floats and metres; - for standard output (default: the input's name with "
        ".png for images and .npy for the rest)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the output, where its suffix does not say (default: as above)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    add_limits(parser)
    options = parser.parse_args(args)
    output = None if options.output is None else Output(options.output, options.input, options.overwrite)
    chosen = options.format or (None if output is None else _format_of(output))

    from quinr_pl.codec import DecodeLimits, decode

    limits = DecodeLimits().scaled(options.limits)
    decoded = decode(read_file(options.input, limits.file_bytes), shown(options.input), limits)
    chosen = chosen or ("png" if decoded.spec.kind.is_integer else "npy")
    if output is None:
        name = default_output(options.input, f".{chosen}")
        output = Output(name, options.input, options.overwrite)
    _write(decoded, chosen, output)
    if output.standard is None:
        print(output.name)
    return 0


def _format_of(output: Output) -> str | None:
    """The format that an output's suffix names; None where it has none because it is no ordinary file."""
    suffix = output.path.suffix.lower()
    if suffix.removeprefix(".") in FORMATS:
        return suffix.removeprefix(".")
    if not output.is_ordinary:
        return None
    accepted = " or ".join(f".{name}" for name in FORMATS)
    given = suffix or "a name without a suffix"
    raise QuinrError(f"--output {output.name}: signals are written as {accepted}, not as {given}")


def _write(decoded: DecodedSignal, chosen: str, output: Output) -> None:
    from quinr_pl.datamodules.image_file import write_signal
    from quinr_pl.native.threads import native_threads

    with native_threads():
        values = decoded.reconstruct()
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder, f"signal.{chosen}")
        with calling(aside, output.name):
            write_signal(values, decoded.spec, aside)
        output.write(aside.read_bytes())
