"""`quinr-pl export`: a file's circuit as a program for quantum computers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import read_file, shown
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    from quinr_pl.codec import DecodedSignal


def export(args: list[str]) -> int:
    """Writes a circuit of a file as OpenQASM 3."""
    parser = OneLineArgumentParser(
        "quinr-pl export",
        description="Write the quantum circuit of a .quinr file as OpenQASM 3: with its trained rotations, "
        "and with the embedding angles as inputs or those of one pixel.",
        epilog="example: quinr-pl export photo.quinr --pixel 10,20 -o circuit.qasm",
    )
    parser.add_argument("input", help=".quinr file; - for standard input")
    parser.add_argument("-o", "--output", help="- for standard output (default: the input's name with .qasm)")
    parser.add_argument(
        "--pixel",
        type=_indices,
        metavar="ROW,COLUMN",
        help="take the embedding angles of this pixel, counted from 0 (default: they are inputs)",
    )
    parser.add_argument("--stage", type=int, help="which circuit, from 1, of a network that has several")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    add_limits(parser)
    options = parser.parse_args(args)
    name = options.output or default_output(options.input, ".qasm")
    output = Output(name, options.input, options.overwrite)

    from quinr_pl.codec import DecodeLimits, decode

    limits = DecodeLimits().scaled(options.limits)
    decoded = decode(read_file(options.input, limits.file_bytes), shown(options.input), limits)
    output.write(_program(decoded, options.stage, options.pixel).encode("ascii"))
    if output.standard is None:
        print(output.name)
    return 0


def _indices(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers, such as 10,20") from None


def _program(decoded: DecodedSignal, stage: int | None, pixel: tuple[int, ...] | None) -> str:
    from quinr_pl.circuit.openqasm import openqasm
    from quinr_pl.codec.circuits import angles_at, trained_circuits
    from quinr_pl.native.threads import native_threads

    circuits = trained_circuits(decoded)
    if stage is None and len(circuits) > 1:
        raise QuinrError(f"{decoded.name}: has {len(circuits)} circuits; give --stage 1 to {len(circuits)}")
    stage = 1 if stage is None else stage
    if not 1 <= stage <= len(circuits):
        raise QuinrError(
            f"--stage {stage}: {decoded.name} has circuits 1 to {len(circuits)}; give one of them"
        )
    ansatz, weights = circuits[stage - 1]
    angles = None
    if pixel is not None:
        with native_threads():
            angles = angles_at(decoded, pixel)[stage - 1].tolist()
    where = "angle_0, angle_1 ...: embedding angles" if pixel is None else f"at pixel {pixel}"
    network = decoded.quantized.network.network_name()
    comments = [
        f"circuit {stage} of {len(circuits)} of a {network}, {where}",
        "basis states have q[0] as their most significant bit",
    ]
    return openqasm(ansatz, weights, angles, comments)
