"""Signals from files and to files, as the suffix and the kind say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.atomic_file import atomic_path
from quinr_pl.errors import QuinrError
from quinr_pl.signals.kind import FileContent, SignalKind
from quinr_pl.signals.kinds import all_kinds
from quinr_pl.signals.point_files import POINT_SUFFIXES, write_points
from quinr_pl.signals.scanner import Points
from quinr_pl.signals.spec import SignalSpec
from quinr_pl.suffixes import suffix_of


@dataclass(frozen=True)
class Signal:
    """Values as they were read, and what they mean.

    Args:
        values: (*shape, channels), in the type that they were given in: figures of quality are measured
            against them.
        spec: Shape and range.
        valid: (*shape) bool, where a range image has a return; None for other signals.
        points: Of the scan that a range image was made from.
    """

    values: npt.NDArray
    spec: SignalSpec
    valid: npt.NDArray[np.bool_] | None = None
    points: Points | None = None


def read_by_kind(path: Path) -> Signal | None:
    """The signal of a file whose suffix a kind reads; None if none does.

    Raises:
        QuinrError: If the file is missing or malformed.
    """
    for kind in all_kinds():
        if suffix_of(path).lower() in kind.read_suffixes:
            return signal_of(kind, kind.read(path))
    return None


def signal_of(kind: SignalKind, content: FileContent) -> Signal:
    """The signal of what a kind has read."""
    spec = SignalSpec.of(kind, content.values, content.interval, content.attributes)
    return Signal(content.values, spec)


def written_suffixes() -> list[str]:
    """Suffixes of the files that signals of any kind are written to."""
    own = [suffix for kind in all_kinds() for suffix in kind.suffixes]
    return list(dict.fromkeys([*own, *POINT_SUFFIXES]))


def usual_suffix(spec: SignalSpec, as_points: bool) -> str:
    """Of the file that a signal, or its points, is written to where nothing is said."""
    return POINT_SUFFIXES[0] if as_points else spec.kind.usual_suffix(spec.attributes)


def holds_points(spec: SignalSpec, path: Path) -> bool:
    """Whether a file of this suffix is to hold the points of a signal: where it can and they are known."""
    return spec.scanner is not None and path.suffix.lower() in POINT_SUFFIXES


def check_written(spec: SignalSpec, path: Path) -> None:
    """Refuses a file that cannot hold a signal as its kind writes it.

    Raises:
        QuinrError: If the kind is not written to files of this suffix, or the values do not fit them.
    """
    suffix = suffix_of(path).lower()
    if suffix not in spec.kind.suffixes:
        accepted, given = " or ".join(spec.kind.suffixes), suffix or "a name without a suffix"
        known = spec.kind.scanned and spec.scanner is None and suffix in POINT_SUFFIXES
        why = "; the file does not say where its rays lead, so there are no points" if known else ""
        raise QuinrError(f"{path}: {spec.kind.name} is written as {accepted}, not as {given}{why}")
    try:
        spec.kind.check_file(suffix, spec.channels, spec.high)
    except QuinrError as error:
        raise QuinrError(f"{path}: {error}") from None


def write_signal(values: npt.NDArray, spec: SignalSpec, path: Path) -> None:
    """Write a decoded signal aside and rename it into place.

    Args:
        values: (*shape, channels) of the signal's dtype.
        spec: What the values are.
        path: With a suffix of the kind's.

    Raises:
        QuinrError: If the suffix cannot hold the values, or the folder cannot be written.
    """
    check_written(spec, path)
    with atomic_path(path) as aside:
        spec.kind.write(values, aside, spec.attributes)


def write_signal_points(values: npt.NDArray, spec: SignalSpec, path: Path) -> None:
    """Write the points of a decoded signal aside and rename them into place.

    Args:
        values: (*shape, channels) of the signal's dtype.
        spec: What the values are, with a scanner.
        path: With one of `POINT_SUFFIXES`.

    Raises:
        QuinrError: If the folder cannot be written.
    """
    points = spec.points(values)
    assert points is not None, "a signal without a scanner"
    with atomic_path(path) as aside:
        write_points(points, aside, spec.intensities(values))
