"""`quinr-pl inspect`: what a `.quinr` file holds."""

from __future__ import annotations

import json
from pathlib import Path

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import read_file


def inspect(args: list[str]) -> int:
    """Shows what a file holds."""
    parser = OneLineArgumentParser("quinr-pl inspect", description="Show what a .quinr file holds.")
    parser.add_argument("input", type=Path, help=".quinr file")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_limits(parser)
    options = parser.parse_args(args)

    from quinr_pl import codec

    limits = codec.DecodeLimits().scaled(options.limits)
    description = codec.inspect(read_file(options.input, limits.file_bytes), str(options.input), limits)
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
