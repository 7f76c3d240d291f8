"""Described, bounded values: what a network's constructor takes and what its file holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

from quinr_pl.errors import QuinrError

Value = int | float | bool | str


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

    def check(self, value: Value) -> None:
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
        default: What its absence from a file means.
    """

    names: tuple[str, ...]
    default: str

    def check(self, value: Value) -> None:
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

    def check(self, value: Value) -> None:
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

    def check(self, value: Value) -> None:
        """Refuse a value out of bounds.

        Raises:
            QuinrError: That names them.
        """
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise QuinrError("must be a number") from None
        if not self.low <= number <= self.high:
            raise QuinrError(f"must lie between {self.low:g} and {self.high:g}")


Field = Integer | Choice | Switch | Real


def check_fields(fields: Mapping[str, Field], values: Mapping[str, Value], flag: str) -> None:
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


def with_defaults(fields: Mapping[str, Field], values: Mapping[str, Value]) -> dict[str, Value]:
    """Values of all fields, those that are left out by their defaults."""
    defaults = {name: field.default for name, field in fields.items() if field.default is not None}
    return {**defaults, **values}
