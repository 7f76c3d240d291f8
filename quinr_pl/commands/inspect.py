"""`quinr-pl inspect`: what a `.quinr` file holds."""

from __future__ import annotations

import json

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import read_file, shown


def inspect(args: list[str]) -> int:
    """Shows what a file holds."""
    parser = OneLineArgumentParser("quinr-pl inspect", description="Show what a .quinr file holds.")
    parser.add_argument("input", help=".quinr file; - for standard input")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_limits(parser)
    options = parser.parse_args(args)

    from quinr_pl import codec

    limits = codec.DecodeLimits().scaled(options.limits)
    data = read_file(options.input, limits.file_bytes)
    description = codec.inspect(data, shown(options.input), limits)
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
