"""`quinr-pl compress` of several inputs: each is a job of an executor."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinr_pl._version import __version__
from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.commands.arguments import executor_of
from quinr_pl.commands.ask import Ask
from quinr_pl.commands.input_file import STANDARD, require_file
from quinr_pl.commands.kept_fit import content_digest, run_kept
from quinr_pl.commands.output_file import Output
from quinr_pl.commands.rate import RatedFit
from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import locked_folder
from quinr_pl.suffixes import suffix_of, with_suffix

if TYPE_CHECKING:
    from quinr_pl.commands.fit_flags import FitFlags
    from quinr_pl.experiments.sweep import Job, Outcome, Tell

_STATE = ".quinr-pl-compress"
"""Folder, in that of the outputs, of what is done so far."""
_FILE = "signal.quinr"


@dataclass(frozen=True)
class InputFile:
    """One of several inputs.

    Args:
        path: Where it lies.
        output: Of its file, below the folder of all.
    """

    path: Path
    output: Path


def compress_files(options: Namespace, overrides: Sequence[str], ask: Ask, remedy: str) -> int:
    """Compresses several inputs into one folder, going on where an interrupted command left off.

    Args:
        options: Of the command line.
        overrides: Flags of `fit`.
        ask: What is asked of each file.
        remedy: What to give instead of an input that cannot be read.

    Returns:
        Exit status: 0, or 1 if a file failed.

    Raises:
        QuinrError: If an input, an output or a setting is wrong; found before any work.
    """
    if options.output is not None:
        raise QuinrError(f"--output {options.output}: names one file; name a folder for all by --out-dir")
    if options.out_dir is None:
        raise QuinrError(
            f"{' '.join(options.inputs[:2])}: name a folder for all files by --out-dir, or by -o one file of "
            "which they become frames"
        )
    files = input_files(options.inputs, remedy)
    check_outputs(files)

    from rich.console import Console

    from quinr_pl.commands.fit_flags import FitFlags
    from quinr_pl.experiments.sweep import check_folders, read_result, run_sweep
    from quinr_pl.experiments.workers import temporary_files_in

    flags = FitFlags(options.config, overrides)
    _ = RatedFit(ask, flags, files[0].path, str(files[0].output)).settings  # a wrong flag fails here
    executor = executor_of(options, _processes(options, len(files)))
    folder = Path(options.out_dir)
    with _state_of(folder) as state, locked_folder(state, "--out-dir"), temporary_files_in(state):
        jobs = [_job(file, folder, ask, flags) for file in files]
        check_folders(jobs)
        pairs = zip(jobs, files, strict=True)
        places = {job.image: _Place(file, folder, options.overwrite) for job, file in pairs}
        for job in jobs:
            if read_result(job, state) is None:
                places[job.image].check()
            else:  # which an interrupted command may not have laid into place
                places[job.image].put(job, state)

        def settle(outcome: Outcome) -> Outcome:
            return _settled(outcome, places[outcome.job.image], state)

        failed = run_sweep(jobs, state, compress_job, executor, Console(stderr=True), settle)
        if options.json:
            results = {job.image: read_result(job, state) for job in jobs}
            print(json.dumps({name: result["figures"] for name, result in results.items() if result}))
    if failed:
        return 1
    shutil.rmtree(state, ignore_errors=True)
    if not options.json:
        for file in files:
            print(folder / file.output)
    return 0


@contextmanager
def _state_of(folder: Path) -> Iterator[Path]:
    """The folder of a command's state, which is left only where something was begun."""
    state = folder / _STATE
    make_folder(folder)  # so that a message has the name that the user gave
    make_folder(state)
    try:
        yield state
    finally:
        with suppress(OSError):
            state.rmdir()


def compress_job(job: Job, folder: Path, tell: Tell) -> dict[str, Any]:
    """Compresses one input, in whatever process an executor chose."""
    from quinr_pl.commands.fit_flags import FitFlags

    settings = job.settings
    flags = FitFlags(settings["configs"], settings["overrides"])
    path = Path(settings["input"])
    fit = RatedFit(Ask(**settings["ask"]), flags, path, job.image, announces=False, tell=tell)

    def write(data: bytes) -> None:
        write_bytes(folder / _FILE, data)

    compressed = run_kept(fit, settings["input"], Path(settings["beside"]), write)
    figures = dict(compressed.figures)
    shown = {name: figures[name] for name in ("bytes", "bpp", "psnr") if figures[name] is not None}
    return {"file": _FILE, "figures": figures, "encode_seconds": figures["seconds"], **shown}


def input_files(names: Sequence[str], remedy: str) -> list[InputFile]:
    """The inputs that names lead to; of a folder all that can be read and is not hidden, in it and below.

    Args:
        names: As the user gave them.
        remedy: What to give instead of an input that cannot be read.

    Raises:
        QuinrError: If one is missing, or a folder cannot be read or has nothing to compress.
    """
    found: list[InputFile] = []
    for name in names:
        path = Path(name)
        if name == STANDARD:
            raise QuinrError(f"{name}: standard input goes alone, without --out-dir")
        if not os.path.isdir(name):  # unlike Path, which takes no name for the present folder
            require_file(name, remedy)
            found.append(InputFile(path, with_suffix(Path(path.name), ".quinr")))
            continue
        inside = [one for one in sorted(_visible_files(path)) if _is_readable(one)]
        if not inside:
            raise QuinrError(f"{name}: nothing in this folder can be compressed; {remedy}")
        found += [InputFile(one, with_suffix(one.relative_to(path), ".quinr")) for one in inside]
    return found


def _visible_files(folder: Path) -> Iterator[Path]:
    """Files of a folder and those below, without names that begin with a dot, as shells expand a ``*``.

    Hidden files are no inputs: what another process is writing, or what macOS lays beside a photograph.
    """

    def refuse(error: OSError) -> None:
        raise QuinrError(
            f"{error.filename}: cannot read this folder ({error.strerror}); give others or files"
        )

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(parent, name) for name in names if not name.startswith("."))
        yield from (file for file in files if file.is_file())


def _is_readable(path: Path) -> bool:
    """Whether a file of a folder is one to compress, by its suffix."""
    from PIL import Image

    from quinr_pl.datamodules.point_file import POINT_READERS
    from quinr_pl.signals.kinds import all_kinds

    of_kinds = {suffix for kind in all_kinds() for suffix in kind.read_suffixes}
    suffixes = {".npy", ".bin"} | POINT_READERS.keys() | of_kinds | Image.registered_extensions().keys()
    return suffix_of(path).lower() in suffixes


def check_outputs(files: Sequence[InputFile]) -> None:
    """Refuses inputs whose files would have one name, also where case and composed letters do not count.

    Raises:
        QuinrError: That names two.
    """
    owners: dict[str, Path] = {}
    for file in files:
        key = unicodedata.normalize("NFC", str(file.output)).casefold()
        other = owners.setdefault(key, file.path)
        if other is not file.path:
            raise QuinrError(
                f"{other} and {file.path}: both would become {file.output}; rename one, or compress them "
                "into two folders"
            )


def _processes(options: Namespace, files: int) -> int:
    """How many processes work on so many files."""
    from quinr_pl.native.cpu_quota import cpu_quota
    from quinr_pl.native.threads import thread_count

    given: int | None = options.processes
    return min(files, thread_count(), cpu_quota()) if given is None else given


def _job(file: InputFile, folder: Path, ask: Ask, flags: FitFlags) -> Job:
    """The job of an input: another one where its bytes or a setting differ."""
    from quinr_pl.experiments.sweep import Job

    settings = {
        "version": __version__,
        "input": str(file.path.absolute()),
        "content": content_digest(file.path).hex(),
        "beside": str((folder / file.output).absolute()),
        "ask": asdict(ask),
        "configs": list(map(str, flags.config_paths)),
        "overrides": list(flags.overrides),
    }
    point = str(ask).removeprefix("--")
    return Job(str(file.output), f"effort {ask.effort}", point, 0, settings, file.path.stat().st_size)


@dataclass(frozen=True)
class _Place:
    """Where the file of an input goes.

    Args:
        file: The input.
        folder: Of all outputs.
        overwrite: Whether another file may be there.
    """

    file: InputFile
    folder: Path
    overwrite: bool

    def check(self) -> Output:
        """Refuses a place that cannot be written.

        Raises:
            QuinrError: If it cannot, or something is there.
        """
        path = self.folder / self.file.output
        make_folder(path.parent)
        return Output(str(path), str(self.file.path), self.overwrite)

    def put(self, job: Job, state: Path) -> None:
        """Writes the file of a job that has ended, unless it is there already.

        Raises:
            QuinrError: If it cannot be written, or another file is there.
        """
        data = (state / job.folder / _FILE).read_bytes()
        path = self.folder / self.file.output
        if not path.is_file() or path.read_bytes() != data:
            self.check().write(data)


def _settled(outcome: Outcome, place: _Place, state: Path) -> Outcome:
    """An outcome, once the file is where it belongs."""
    if outcome.error is None:
        try:
            place.put(outcome.job, state)
        except QuinrError as error:
            return replace(outcome, error=str(error))
    return outcome
