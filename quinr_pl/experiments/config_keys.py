"""The keys of a config of `quinr-pl compare` or `search`, and what each holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from quinr_pl.errors import QuinrError


class Kind(NamedTuple):
    """What a key may hold.

    Attributes:
        holds: Tells whether a value is of this kind.
        told: What it is, for messages.
    """

    holds: Callable[[Any], bool]
    told: str


def whole(low: int, high: float = math.inf) -> Kind:
    """Whole numbers between two, both included."""
    told = f"a whole number of at least {low}" if math.isinf(high) else f"a whole number from {low} to {high}"
    return Kind(lambda value: type(value) is int and low <= value <= high, told)


def listed(kind: Kind, count: int | None = None) -> Kind:
    """Lists of one kind, of so many values; of at least one if no count is given."""

    def holds(value: Any) -> bool:
        right = isinstance(value, list) and (len(value) == count if count else bool(value))
        return right and all(map(kind.holds, value))

    return Kind(holds, f"a list of {count or 'one or more'}, each {kind.told}")


TEXT = Kind(lambda value: isinstance(value, str) and bool(value), "a text")
SWITCH = Kind(lambda value: isinstance(value, bool), "true or false")
MAPPING = Kind(lambda value: isinstance(value, Mapping), "a mapping")
SEED = whole(0, 2**32 - 1)


def known_keys(
    tree: Mapping[str, Any], name: str, kinds: Mapping[str, Kind], needed: Collection[str] = ()
) -> dict[str, Any]:
    """The keys of a config, without those that are null.

    Args:
        tree: The config.
        name: What messages call it.
        kinds: What each key holds.
        needed: Keys that must be there.

    Raises:
        QuinrError: If a key is unknown or missing, or holds something else.
    """
    for key in tree.keys() - kinds.keys():
        raise QuinrError(f"{name}: unknown key {key}; there are {', '.join(sorted(kinds))}")
    for key in needed:
        if not tree.get(key):
            raise QuinrError(f"{name}: key {key} is missing")
    given = {key: value for key, value in tree.items() if value is not None}
    check_keys(given, kinds, f"{name}: ")
    return given


def check_keys(values: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> None:
    """Refuses values of other kinds.

    Args:
        values: By their keys.
        kinds: What each key holds.
        where: What stands before the key in messages, such as ``--``.

    Raises:
        QuinrError: That names the key and its value, and says what would be right.
    """
    for key, value in values.items():
        if not kinds[key].holds(value):
            raise QuinrError(f"{where}{key} {value}: must be {kinds[key].told}")
