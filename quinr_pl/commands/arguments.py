"""What the commands' parsers share."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from quinr_pl.errors import QuinrError
from quinr_pl.spelling import did_you_mean

if TYPE_CHECKING:
    from quinr_pl.experiments.sweep import Executor


class OneLineArgumentParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See ArgumentParser; errors speak of the arguments."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises QuinrError, which ends the program with exit status 2."""
        if (name := self._file_like_a_flag()) is not None:
            raise QuinrError(f"{name}: begins as a flag does; give it after --, as in {self.prog} -- {name}")
        unknown = message.removeprefix("unrecognized arguments: ")
        near = did_you_mean(unknown.split()[0], self._option_string_actions) if unknown != message else ""
        raise QuinrError(f"{message}{near}; see {self.prog} --help")

    def _file_like_a_flag(self) -> str | None:
        """The first argument that looks like a flag, is none, and is the name of a file."""
        for arg in self._given:
            if arg == "--":
                break
            if arg.startswith("-") and arg not in self._option_string_actions and os.path.isfile(arg):
                return arg
        return None


def add_experiment(parser: argparse.ArgumentParser, what: str, folder: str) -> None:
    """Adds ``--config``, ``--folder`` and ``--root``: which experiment to run, where, and on which data.

    Args:
        parser: The command's.
        what: What the config describes.
        folder: What will lie in the folder.
    """
    parser.add_argument("--config", required=True, help=f"a YAML file or a packaged {what}")
    parser.add_argument("--folder", help=f"where {folder} lie")
    parser.add_argument("--root", help="folder of the data, instead of QUINR_DATA")


def add_executor(parser: argparse.ArgumentParser, processes: str) -> None:
    """Adds ``--processes``, ``--executor`` and ``--address``: where jobs run, see `executor_of`.

    Args:
        parser: The command's.
        processes: What so many processes do.
    """
    parser.add_argument("--processes", type=int, metavar="N", help=processes)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--address", default="auto", help="of the Ray cluster")


def executor_of(options: argparse.Namespace, processes: int) -> Executor:
    """What runs the jobs.

    Args:
        options: Of a command with `add_executor`.
        processes: Of this machine, at a time.

    Raises:
        QuinrError: If there is no such number of processes, or no such cluster.
    """
    from quinr_pl.experiments.executors import LocalExecutor, RayExecutor

    return RayExecutor(options.address) if options.executor == "ray" else LocalExecutor(processes)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds ``--limits``, a positive factor or ``none``: see DecodeLimits.scaled."""
    parser.add_argument(
        "--limits",
        type=_factor,
        default=1.0,
        metavar="FACTOR",
        help="let a file that you trust take so many times the memory and work of the default, or none: any",
    )


def _factor(text: str) -> float:
    try:
        factor = math.inf if text == "none" else float(text)
    except ValueError:
        factor = math.nan
    if not factor > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a positive number nor none")
    return factor


_WITHOUT_VALUE = {"--help", "--print_config", "--print_shtab"}
_NEGATIVE_NUMBER = re.compile(r"-\.?\d")


def joined_values(args: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """A command line in which flags that a parser does not know hold their values: ``--flag=value``.

    The parser would otherwise take the value of an unknown flag for an argument of its own.

    Args:
        args: Command line; each unknown flag takes one value.
        parser: Knows some of the flags.
    """
    joined: list[str] = []
    waiting = False
    for index, arg in enumerate(args):
        if arg == "--":
            return [*joined, *args[index:]]
        if waiting and (not arg.startswith("-") or _NEGATIVE_NUMBER.match(arg)):
            joined[-1] += f"={arg}"
            waiting = False
            continue
        joined.append(arg)
        known = arg in parser._option_string_actions or arg in _WITHOUT_VALUE
        waiting = arg.startswith("--") and "=" not in arg and not known
    return joined
