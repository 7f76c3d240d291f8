"""The inputs of a file of frames: files in their order, and arrays of frames cut into files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quinr_pl.commands.compress_files import input_files
from quinr_pl.commands.input_file import is_ordinary_file
from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    import numpy.typing as npt

FRAMES_AXES = 4
"""Of an array of frames: frames, height, width, channels."""


@contextmanager
def frame_files(names: Sequence[str], remedy: str) -> Iterator[list[Path]]:
    """The files of all frames, in order; those of arrays are there as long as the block lasts.

    Args:
        names: Files, folders of frames and ``.npy`` arrays of (frames, height, width, channels).
        remedy: What to give instead of an input that cannot be read.

    Raises:
        QuinrError: If one is missing, or a folder has nothing to compress.
    """
    with tempfile.TemporaryDirectory(prefix="quinr-pl-") as folder:
        paths: list[Path] = []
        for name in names:
            for path in _files(name, remedy):
                paths += _cut(path, Path(folder, str(len(paths)))) if holds_array_of_frames(path) else [path]
        yield paths


def holds_array_of_frames(path: Path) -> bool:
    """Whether a file is an array of (frames, height, width, channels)."""
    if path.suffix.lower() != ".npy" or not is_ordinary_file(str(path)):
        return False
    import numpy as np

    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).ndim == FRAMES_AXES
    except Exception:  # whoever reads the file says what is wrong with it
        return False


def _files(name: str, remedy: str) -> list[Path]:
    """What a name leads to; of a folder all that can be read, by the numbers in their names."""
    found = [file.path.absolute() for file in input_files([name], remedy)]
    return sorted(found, key=_by_number) if Path(name).is_dir() else found


def _by_number(path: Path) -> list[tuple[int, str]]:
    """For sorting: digits count as the number that they are."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _cut(path: Path, folder: Path) -> list[Path]:
    """Files of the frames of an array."""
    import numpy as np

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not len(array):
        raise QuinrError(f"{path}: shape {array.shape} has no frame; there is nothing to compress")
    folder.mkdir()
    return [_saved(folder / f"{path.stem}-{number:06d}.npy", frame) for number, frame in enumerate(array)]


def _saved(path: Path, frame: npt.NDArray) -> Path:
    import numpy as np

    np.save(path, frame)
    return path
