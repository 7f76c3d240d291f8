"""The header's network: the code of its class, and its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.file.fields import read_fields, write_fields
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Value
from quinr_pl.network import NETWORKS
from quinr_pl.network.cost import NetworkCost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.network.decoders.registry import DECODERS
from quinr_pl.signals import SignalSpec


def write_network(writer: Writer, network: NetworkFormat, spec: SignalSpec) -> None:
    """Append the network's class and its fields; what follows from the signal is not written.

    Raises:
        QuinrError: If no class of this code is registered, or the network does not fit the signal.
    """
    cls = type(network)
    code = getattr(cls, "CODE", None)
    if code is None or not (DECODERS.find(code) is cls or NETWORKS.find(code) is cls):
        raise QuinrError(
            f"--model.network {cls.__name__}: files do not know the class; give it a CODE from 128 to 255, "
            "and register it: quinr_pl.network.NETWORKS.register(CODE, CLASS)"
        )
    values = network.architecture()
    for key, value in cls.signal_arguments(spec).items():
        if values[key] != value:
            raise QuinrError(f"--model.network.{key} {values[key]}: the signal needs {value}")
    writer.byte(cls.CODE)
    write_fields(cls.FIELDS, writer, values)


def read_network(reader: Reader, spec: SignalSpec) -> tuple[type[NetworkFormat], dict[str, Value]]:
    """Class and architecture that ``write_network`` wrote, each field within its bounds.

    Args:
        reader: Behind the signal.
        spec: Shape, kind and range of the signal.

    Raises:
        BitstreamError: If the class is unknown, a field out of bounds, or the signal not one for the network.
    """
    code = reader.byte()
    cls = DECODERS.find(code) or NETWORKS.find(code)
    if cls is None:
        raise BitstreamError(f"network class {code} is unknown")
    try:
        values = read_fields(cls.FIELDS, reader)
    except BitstreamError as error:
        raise BitstreamError(f"network {cls.network_name()}, {error}") from None
    return cls, _of_signal(cls, values, spec)


def _of_signal(cls: type[NetworkFormat], values: Mapping[str, Value], spec: SignalSpec) -> dict[str, Value]:
    """All arguments of a network's architecture: its fields and what follows from the signal."""
    try:
        given = cls.signal_arguments(spec)
    except QuinrError as error:
        raise BitstreamError(str(error)) from None
    for key, value in given.items():
        if values.get(key, value) != value:
            raise BitstreamError(
                f"network {cls.network_name()}, field {key}: {values[key]} where the signal has {value}"
            )
    return {**values, **given}


def outline(cls: type[NetworkFormat], architecture: Mapping[str, Value]) -> NetworkFormat:
    """A network of an architecture, without values.

    Raises:
        BitstreamError: If the network refuses the arguments.
    """
    with _refused(cls):
        return cls.outline(architecture)


def cost_of(cls: type[NetworkFormat], architecture: Mapping[str, Value]) -> NetworkCost:
    """What decoding a network of an architecture takes.

    Raises:
        BitstreamError: If its arguments do not go together.
    """
    with _refused(cls):
        return cls.cost(architecture)


@contextmanager
def _refused(cls: type[NetworkFormat]) -> Iterator[None]:
    """Arguments that a network refuses are the file's."""
    try:
        yield
    except QuinrError as error:
        raise BitstreamError(f"network {cls.network_name()}: {error}") from None
