"""The command line: the composition root, and the only place that knows all the others.

Heavy imports wait inside the commands, so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence

from quinr_pl._version import __version__
from quinr_pl.commands.compare import compare
from quinr_pl.commands.compress import compress
from quinr_pl.commands.decompress import decompress
from quinr_pl.commands.export import export
from quinr_pl.commands.fit import lightning
from quinr_pl.commands.inspect import inspect
from quinr_pl.commands.interruption import Terminated, exit_status, interrupted_by_signals
from quinr_pl.commands.libraries import import_away_from_the_current_folder
from quinr_pl.commands.search import search
from quinr_pl.commands.standard_streams import nobody_reads, open_standard_streams, unwritten_output
from quinr_pl.errors import QuinrError
from quinr_pl.refusals import refusal
from quinr_pl.spelling import did_you_mean

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
    "export": (export, "the circuit of photo.quinr as OpenQASM 3"),
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


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        args: Command line without the program's name; that of the process when left out.

    Returns:
        Exit status: 0, 2 for bad input, 130 when interrupted, 143 when terminated, 141 when nobody reads the
        output any more.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    open_standard_streams()
    try:
        with interrupted_by_signals():
            status = _run(arguments)
            if (unwritten := unwritten_output()) is not None:
                raise QuinrError(unwritten)
            return status
    except BrokenPipeError:
        if not nobody_reads():  # a worker's pipe, say
            raise
        return 141
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except SystemExit as stop:
        # Lightning ends an interrupted fit with exit(1).
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        return _interrupted(stop.__context__)
    except Exception as error:
        message = (unwritten_output() if isinstance(error, OSError) else None) or refusal(error)
        if message is None or os.environ.get("QUINR_DEBUG"):
            raise
        print(f"quinr-pl: error: {message}", file=sys.stderr)
        return 2


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    name = arguments[0]
    if name == "--version":
        print(f"quinr-pl {__version__}")
        return 0
    if name not in COMMANDS:
        near = did_you_mean(name, [*COMMANDS, "--help", "--version"])
        raise QuinrError(f"{name}: no such command{near or '; there are ' + ', '.join(COMMANDS)}")
    command, _ = COMMANDS[name]
    # The others import what they need of it by themselves.
    if name not in ("inspect", "decompress", "export") and not {"-h", "--help"} & set(arguments):
        import_away_from_the_current_folder()
    return command(arguments if command is lightning else arguments[1:])


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    what = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
    print(f"quinr-pl: {what}", file=sys.stderr)
    return exit_status(interrupt)
