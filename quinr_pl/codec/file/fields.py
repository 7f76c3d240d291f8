"""Fields of a header: how a value is written, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.errors import QuinrError

Value = int | float | bool | str
_REAL_ESCAPE = 255
_REALS = (*(code / 20 for code in range(101)), *(5 + code / 4 for code in range(1, 155)))
_LEAST_REAL, _LARGEST_REAL = 2.0**-20, 2.0**20  # frequencies and angles beyond are of no use in float32


@dataclass(frozen=True)
class Integer:
    """An integer field, as a varint.

    Args:
        low: Smallest value.
        high: Largest value.
        default: What an absent field means; a field without one is always present.
    """

    low: int
    high: int
    default: int | None = None

    def write(self, writer: Writer, value: Value) -> None:
        """Append the value."""
        if not self.low <= int(value) <= self.high:
            raise QuinrError(f"must lie between {self.low} and {self.high} to fit a file")
        writer.varint(int(value))

    def read(self, reader: Reader) -> int:
        """The value, checked against its bounds."""
        value = reader.varint()
        if not self.low <= value <= self.high:
            raise BitstreamError(f"{value} lies outside {self.low} to {self.high}")
        return value


@dataclass(frozen=True)
class Choice:
    """One of three or more names, as a byte.

    Args:
        names: In the order of their numbers; new ones go to the end.
        default: What an absent field means.
    """

    names: tuple[str, ...]
    default: str

    def write(self, writer: Writer, value: Value) -> None:
        """Append the number of the name."""
        if value not in self.names:
            raise QuinrError(f"must be one of {', '.join(self.names)} to fit a file")
        writer.byte(self.names.index(str(value)))

    def read(self, reader: Reader) -> str:
        """The name."""
        number = reader.byte()
        if number >= len(self.names):
            raise BitstreamError(f"choice {number} is unknown; there are {len(self.names)}")
        return self.names[number]


@dataclass(frozen=True)
class Switch:
    """One of two values: its bit in the presence mask says all, and no byte follows.

    Args:
        default: What an absent field means.
        other: What a present field means.
    """

    default: str | bool
    other: str | bool

    def write(self, writer: Writer, value: Value) -> None:
        """Append nothing, as only the other value is present."""
        if value != self.other:
            raise QuinrError(f"must be {self.default} or {self.other} to fit a file")

    def read(self, reader: Reader) -> str | bool:
        """The other value."""
        return self.other


@dataclass(frozen=True)
class Real:
    """A real within bounds, as a byte if it is one of ``_REALS``, else as 255 and a float32.

    Args:
        default: What an absent field means.
    """

    default: float

    def write(self, writer: Writer, value: Value) -> None:
        """Append the value."""
        real = float(value)
        if not _LEAST_REAL <= real <= _LARGEST_REAL:
            raise QuinrError(f"must lie between {_LEAST_REAL:g} and {_LARGEST_REAL:g} to fit a file")
        if real in _REALS:
            writer.byte(_REALS.index(real))
        else:
            writer.byte(_REAL_ESCAPE)
            writer.float32(real)

    def read(self, reader: Reader) -> float:
        """The value, checked against its bounds."""
        code = reader.byte()
        value = reader.float32() if code == _REAL_ESCAPE else _REALS[code]
        if not _LEAST_REAL <= value <= _LARGEST_REAL:
            raise BitstreamError(f"{value:g} lies outside {_LEAST_REAL:g} to {_LARGEST_REAL:g}")
        return value


Field = Integer | Choice | Switch | Real
