"""`quinr-pl decompress`: a `.quinr` file in, a picture or an array out."""

from __future__ import annotations

from pathlib import Path

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import read_file


def decompress(args: list[str]) -> int:
    """Decodes a file to a picture or an array."""
    parser = OneLineArgumentParser("quinr-pl decompress", description="Decode a .quinr file.")
    parser.add_argument("input", type=Path, help=".quinr file")
    parser.add_argument("-o", "--output", type=Path, help=".png, or .npy to keep floats and metres")
    add_limits(parser)
    options = parser.parse_args(args)

    from quinr_pl.codec import DecodeLimits, decode
    from quinr_pl.datamodules.image_file import write_signal

    limits = DecodeLimits().scaled(options.limits)
    decoded = decode(read_file(options.input, limits.file_bytes), str(options.input), limits)
    suffix = ".png" if decoded.spec.kind.is_image else ".npy"
    output = options.output or options.input.with_suffix(suffix)
    write_signal(decoded.reconstruct(), decoded.spec, output)
    print(output)
    return 0
