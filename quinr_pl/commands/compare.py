"""`quinr-pl compare`: runs a comparison's jobs, and writes or verifies its report."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinr_pl.atomic_file import make_folder
from quinr_pl.commands.arguments import OneLineArgumentParser, add_executor, add_experiment, executor_of
from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import locked_folder

if TYPE_CHECKING:
    from quinr_pl.experiments.comparison import Comparison


def compare(args: list[str]) -> int:
    """Rate and distortion of methods, images and seeds."""
    parser = OneLineArgumentParser(
        "quinr-pl compare",
        description="Rate and distortion of methods, images and seeds: a report from one command. "
        "A comparison that was interrupted goes on where it was.",
        epilog="example: quinr-pl compare --config kodak_rd_quick.yaml --processes 2",
    )
    add_experiment(parser, "comparison", "the jobs and the report")
    parser.add_argument("--images", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N")
    add_executor(parser, "jobs at a time, of one thread each")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--report-only", action="store_true", help="of the jobs that are finished")
    mode.add_argument("--verify", action="store_true", help="decode every file again, recompute its figures")
    return _compare(parser.parse_args(args))


def _compare(options: Namespace) -> int:
    """Runs a comparison, or reports or verifies one that ran.

    Returns:
        Exit status: 0, or 1 if a job failed or a figure was not confirmed.

    Raises:
        QuinrError: If the config or a flag is wrong.
    """
    from rich.console import Console

    from quinr_pl.experiments.comparison import run_job
    from quinr_pl.experiments.report_files import REPORT, write_report
    from quinr_pl.experiments.sweep import read_result, run_sweep
    from quinr_pl.experiments.verification import verify
    from quinr_pl.experiments.workers import temporary_files_in

    if options.root is not None:
        os.environ["QUINR_DATA"] = options.root  # the jobs' processes inherit it
    comparison = _comparison(options)
    jobs = comparison.jobs()
    folder = Path(comparison.folder)
    console = Console()
    if options.verify:
        return verify(jobs, folder, console)
    failed = []
    with contextlib.ExitStack() as stack:
        if not options.report_only:
            make_folder(folder)
            stack.enter_context(locked_folder(folder, "--folder"))
            stack.enter_context(temporary_files_in(folder))
            failed = run_sweep(jobs, folder, run_job, executor_of(options, comparison.processes), console)
        finished = [job for job in jobs if read_result(job, folder) is not None]
        if not finished:
            raise QuinrError(f"--folder {folder}: no finished job there; run the comparison first")
        write_report(comparison, finished, folder)
    console.print(f"{folder / REPORT / 'index.html'}: {len(finished)} of {len(jobs)} jobs", highlight=False)
    return 1 if failed else 0


def _comparison(options: Namespace) -> Comparison:
    from quinr_pl.configs.find import find_base, find_config, read_text
    from quinr_pl.experiments.comparison import COMPARISON_KEYS, Comparison
    from quinr_pl.experiments.config_keys import check_keys

    path = find_config(options.config)
    comparison = Comparison.read(read_text(path), options.config, lambda base: find_base(base, path))
    changes = {
        name: getattr(options, name)
        for name in ("folder", "seeds", "processes")
        if getattr(options, name) is not None
    }
    check_keys(changes, COMPARISON_KEYS, "--")
    if options.methods is not None:
        changes["methods"] = _chosen("methods", options.methods, comparison.methods)
    if options.images is not None:
        names = {"-".join(str(part) for part in image.values()): image for image in comparison.images}
        changes["images"] = list(_chosen("images", options.images, names).values())
    return dataclasses.replace(comparison, **changes)


def _chosen(flag: str, names: Sequence[str], known: Any) -> dict[str, Any]:
    for name in names:
        if name not in known:
            raise QuinrError(f"--{flag} {name}: the comparison has {', '.join(known)}")
    return {name: known[name] for name in names}
