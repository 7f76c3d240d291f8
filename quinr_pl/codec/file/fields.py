"""Fields of the header: how the value of each kind is written and read, and which of them are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.fields import Attribute, Choice, Field, Integer, Numbers, Real, Switch

_REAL_ESCAPE = 255
_REALS = (*(code / 20 for code in range(101)), *(5 + code / 4 for code in range(1, 155)))


def write_fields(fields: Mapping[str, Field], writer: Writer, values: Mapping[str, Attribute]) -> None:
    """Append a presence mask, then those values that are not their fields' defaults.

    Args:
        fields: Fields by name; those with a default own a bit of the mask each, the first one the lowest.
        writer: Of the header.
        values: One for each field, by its name.
    """
    optional = _optional(fields)
    present = [name for name in optional if values[name] != fields[name].default]
    writer.varint(sum(1 << optional.index(name) for name in present))
    for name, field in fields.items():
        if name in present or name not in optional:
            write_field(field, writer, values[name])


def read_fields(fields: Mapping[str, Field], reader: Reader) -> dict[str, Any]:
    """What ``write_fields`` wrote, each value within its field's bounds.

    Raises:
        BitstreamError: If a value is out of bounds, or the mask has unknown bits.
    """
    optional = _optional(fields)
    mask = reader.varint()
    if mask >> len(optional):
        raise BitstreamError(f"presence mask {mask:#x} has unknown bits")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if field.default is not None and not mask >> optional.index(name) & 1:
            values[name] = field.default
            continue
        try:
            values[name] = read_field(field, reader)
        except BitstreamError as error:
            raise BitstreamError(f"field {name}: {error}") from None
    return values


def _optional(fields: Mapping[str, Field]) -> Sequence[str]:
    """Those that own a bit of the presence mask, the lowest first."""
    return [name for name, field in fields.items() if field.default is not None]


@singledispatch
def write_field(field: Field, writer: Writer, value: Any) -> None:
    """Append a value that its field allows.

    An integer is a varint; a choice is a byte, the number of the name; a switch is nothing, as only its other
    value is ever present; a real is a byte if it is one of ``_REALS``, else 255 and a float32. Of several
    numbers a varint says by its bits, the first one the lowest, which differ from the default; these follow
    as float32.
    """
    raise TypeError(f"no way to write a {type(field).__name__}")


@singledispatch
def read_field(field: Field, reader: Reader) -> Attribute:
    """The value of a field that is present.

    Raises:
        BitstreamError: If the field does not allow it.
    """
    raise TypeError(f"no way to read a {type(field).__name__}")


@write_field.register
def _(field: Integer, writer: Writer, value: Any) -> None:
    writer.varint(int(value))


@read_field.register
def _(field: Integer, reader: Reader) -> int:
    value = reader.varint()
    if not field.low <= value <= field.high:
        raise BitstreamError(f"{value} lies outside {field.low} to {field.high}")
    return value


@write_field.register
def _(field: Choice, writer: Writer, value: Any) -> None:
    writer.byte(field.names.index(str(value)))


@read_field.register
def _(field: Choice, reader: Reader) -> str:
    number = reader.byte()
    if number >= len(field.names):
        raise BitstreamError(f"choice {number} is unknown; there are {len(field.names)}")
    return field.names[number]


@write_field.register
def _(field: Switch, writer: Writer, value: Any) -> None:
    pass


@read_field.register
def _(field: Switch, reader: Reader) -> str | bool:
    return field.other


@write_field.register
def _(field: Real, writer: Writer, value: Any) -> None:
    real = float(value)
    if real in _REALS:
        writer.byte(_REALS.index(real))
    else:
        writer.byte(_REAL_ESCAPE)
        writer.float32(real)


@read_field.register
def _(field: Real, reader: Reader) -> float:
    code = reader.byte()
    value = reader.float32() if code == _REAL_ESCAPE else _REALS[code]
    if not field.low <= value <= field.high:
        raise BitstreamError(f"{value:g} lies outside {field.low:g} to {field.high:g}")
    return value


@write_field.register
def _(field: Numbers, writer: Writer, value: Any) -> None:
    pairs = list(zip(value, field.default, strict=True))
    writer.varint(sum(1 << index for index, (number, usual) in enumerate(pairs) if number != usual))
    for number, usual in pairs:
        if number != usual:
            writer.float32(number)


@read_field.register
def _(field: Numbers, reader: Reader) -> tuple[float, ...]:
    differing = reader.varint()
    if differing >> len(field.default):
        raise BitstreamError(f"{differing:#x} names more than {len(field.default)} numbers")
    return tuple(
        reader.float32() if differing >> index & 1 else usual for index, usual in enumerate(field.default)
    )
