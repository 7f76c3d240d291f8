"""Suffixes of files' names, those of compressed files with what stands before: ``.nii.gz``."""

from __future__ import annotations

from pathlib import Path

_COMPRESSED = (".gz",)


def suffix_of(path: Path) -> str:
    """The suffix of a name as it is written there, whole; empty where there is none."""
    suffixes = path.suffixes
    count = 2 if suffixes and suffixes[-1].lower() in _COMPRESSED else 1
    return "".join(suffixes[-count:])


def stem_of(path: Path) -> str:
    """A name without its whole suffix."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def with_suffix(path: Path, suffix: str) -> Path:
    """A path with another suffix in place of its whole one."""
    return path.with_name(stem_of(path) + suffix)
