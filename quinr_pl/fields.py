"""Described, bounded values: what a file's header holds of a network and of a kind of signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

from quinr_pl.errors import QuinrError

_LARGEST_SINGLE = (2 - 2**-23) * 2.0**127

Value = int | float | bool | str
Attribute = Value | tuple[float, ...]


@dataclass(frozen=True)
class Integer:
    """A whole number.

    Args:
        low: Smallest value that is allowed.
        high: Largest value that is allowed.
        default: What its absence from a file means; a field without one is always there.
    """

    low: int
    high: int
    default: int | None = None

    def check(self, value: Attribute) -> None:
        """Refuse a value that is no such number.

        Raises:
            QuinrError: That says what would be right.
        """
        if not isinstance(value, Integral):
            raise QuinrError("must be a whole number")
        if not self.low <= value <= self.high:
            raise QuinrError(f"must lie between {self.low} and {self.high}")


@dataclass(frozen=True)
class Choice:
    """One of three or more names.

    Args:
        names: In the order of their numbers in files; new ones go to the end.
        default: What its absence from a file means; a field without one is always there.
    """

    names: tuple[str, ...]
    default: str | None = None

    def check(self, value: Attribute) -> None:
        """Refuse a value that is none of the names.

        Raises:
            QuinrError: That lists them.
        """
        if value not in self.names:
            raise QuinrError(f"choose one of {', '.join(self.names)}")


@dataclass(frozen=True)
class Switch:
    """One of two values.

    Args:
        default: What its absence from a file means.
        other: What its presence means.
    """

    default: str | bool
    other: str | bool

    def check(self, value: Attribute) -> None:
        """Refuse a value that is neither.

        Raises:
            QuinrError: That names both.
        """
        if value not in (self.default, self.other):
            raise QuinrError(f"choose one of {self.default}, {self.other}")


@dataclass(frozen=True)
class Real:
    """A positive real number.

    Args:
        default: What its absence from a file means.
        low: Smallest value that is allowed.
        high: Largest value. Frequencies and angles beyond these bounds are of no use in single precision.
    """

    default: float
    low: float = 2.0**-20
    high: float = 2.0**20

    def check(self, value: Attribute) -> None:
        """Refuse a value out of bounds.

        Raises:
            QuinrError: That names them.
        """
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise QuinrError("must be a number") from None
        if not self.low <= number <= self.high:
            raise QuinrError(f"must lie between {self.low:g} and {self.high:g}")


@dataclass(frozen=True)
class Numbers:
    """As many real numbers as the default has, in single precision.

    Args:
        default: What its absence from a file means.
    """

    default: tuple[float, ...]

    def check(self, value: Attribute) -> None:
        """Refuse a value that is not as many finite numbers.

        Raises:
            QuinrError: That says how many there must be.
        """
        if not isinstance(value, tuple) or len(value) != len(self.default) or not all(map(_is_single, value)):
            raise QuinrError(f"must be {len(self.default)} finite numbers in single precision")


def _is_single(number: float) -> bool:
    """Whether single precision holds a number: a larger one has none there."""
    return math.isfinite(number) and abs(number) <= _LARGEST_SINGLE


Field = Integer | Choice | Switch | Real | Numbers


def check_fields(fields: Mapping[str, Field], values: Mapping[str, Attribute], flag: str) -> None:
    """Refuse values that their fields do not allow.

    Args:
        fields: Fields by the arguments' names.
        values: One for each field, by its name.
        flag: What a name follows on the command line, such as ``--model.network``.

    Raises:
        QuinrError: That names the flag, the value and what would be right.
    """
    for name, field in fields.items():
        try:
            field.check(values[name])
        except QuinrError as error:
            raise QuinrError(f"{flag}.{name} {values[name]}: {error}") from None


def with_defaults(fields: Mapping[str, Field], values: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Values of all fields, those that are left out by their defaults."""
    defaults = {name: field.default for name, field in fields.items() if field.default is not None}
    return {**defaults, **values}


def require_at_least(low: float, numbers: Mapping[str, float | None]) -> None:
    """Refuse numbers below a bound.

    Args:
        low: The bound.
        numbers: By the flag that sets each; None is for any.

    Raises:
        QuinrError: That names the flag and the number.
    """
    for flag, number in numbers.items():
        if number is not None and not number >= low:
            raise QuinrError(f"{flag} {number}: must be at least {low}")
