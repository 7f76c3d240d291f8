"""Fields of the header: how the value of each kind is written and read."""

from __future__ import annotations

from functools import singledispatch

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.fields import Choice, Field, Integer, Real, Switch, Value

_REAL_ESCAPE = 255
_REALS = (*(code / 20 for code in range(101)), *(5 + code / 4 for code in range(1, 155)))


@singledispatch
def write_field(field: Field, writer: Writer, value: Value) -> None:
    """Append a value that its field allows.

    An integer is a varint; a choice is a byte, the number of the name; a switch is nothing, as only its other
    value is ever present; a real is a byte if it is one of ``_REALS``, else 255 and a float32.
    """
    raise TypeError(f"no way to write a {type(field).__name__}")


@singledispatch
def read_field(field: Field, reader: Reader) -> Value:
    """The value of a field that is present.

    Raises:
        BitstreamError: If the field does not allow it.
    """
    raise TypeError(f"no way to read a {type(field).__name__}")


@write_field.register
def _(field: Integer, writer: Writer, value: Value) -> None:
    writer.varint(int(value))


@read_field.register
def _(field: Integer, reader: Reader) -> int:
    value = reader.varint()
    if not field.low <= value <= field.high:
        raise BitstreamError(f"{value} lies outside {field.low} to {field.high}")
    return value


@write_field.register
def _(field: Choice, writer: Writer, value: Value) -> None:
    writer.byte(field.names.index(str(value)))


@read_field.register
def _(field: Choice, reader: Reader) -> str:
    number = reader.byte()
    if number >= len(field.names):
        raise BitstreamError(f"choice {number} is unknown; there are {len(field.names)}")
    return field.names[number]


@write_field.register
def _(field: Switch, writer: Writer, value: Value) -> None:
    pass


@read_field.register
def _(field: Switch, reader: Reader) -> str | bool:
    return field.other


@write_field.register
def _(field: Real, writer: Writer, value: Value) -> None:
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
