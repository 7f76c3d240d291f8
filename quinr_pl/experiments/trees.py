"""Configs as trees: one laid over another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from quinr_pl.class_paths import same_class
from quinr_pl.errors import QuinrError

Tree = Mapping[str, Any]


def merge(base: Tree, change: Tree) -> dict[str, Any]:
    """A tree with another's leaves put over it.

    A changed class starts with no arguments of the old one, and a changed quantization method with none of
    its options.

    Raises:
        QuinrError: If a changed class path leads to no class.
    """
    merged = dict(base)
    old, new = base.get("class_path"), change.get("class_path")
    if old and new and not same_class(old, new):
        merged.pop("init_args", None)
    if "method" in change and change["method"] != base.get("method"):
        merged = {}
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def named(what: str, values: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Values by their names as text.

    Raises:
        QuinrError: If two names are one as text, such as 1 and "1".
    """
    pairs = list(values.items() if isinstance(values, Mapping) else values)
    found = {str(name): value for name, value in pairs}
    if len(found) < len(pairs):
        told = ", ".join(str(name) for name, _ in pairs)
        raise QuinrError(f"{what}: {told}: a name is there twice; rename one or leave it out")
    return found
