"""The header: what the signal is and which network it comes from, as declared tables of fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from quinr_pl.codec.bitstream import BitstreamError, Reader, Writer
from quinr_pl.errors import QuinrError
from quinr_pl.network import NETWORKS, CoordinateNetwork
from quinr_pl.network.coordinate_network import MOST_NATS
from quinr_pl.signal import SignalKind, SignalSpec

Value = int | float | bool | str
_REAL_ESCAPE = 255
_REALS = (*(code / 20 for code in range(101)), *(5 + code / 4 for code in range(1, 155)))
_RANGE_FLAG = 0x08
_CHANNELS_ESCAPE = 15
_KIND_RANGE = {
    SignalKind.IMAGE_8: (0.0, 255.0),
    SignalKind.IMAGE_16: (0.0, 65535.0),
    SignalKind.RANGE_IMAGE: (0.0, 80.0),
    SignalKind.ARRAY: (0.0, 1.0),
}


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
    """A positive real in a byte if it is one of ``_REALS``, else 255 and a float32.

    Args:
        default: What an absent field means.
    """

    default: float

    def write(self, writer: Writer, value: Value) -> None:
        """Append the value."""
        real = float(value)
        if not 0 < real < float("inf"):
            raise QuinrError("must be positive and finite to fit a file")
        if real in _REALS:
            writer.byte(_REALS.index(real))
        else:
            writer.byte(_REAL_ESCAPE)
            writer.float32(real)

    def read(self, reader: Reader) -> float:
        """The value, positive and finite."""
        code = reader.byte()
        value = reader.float32() if code == _REAL_ESCAPE else _REALS[code]
        if not value > 0:
            raise BitstreamError(f"{value} is not positive")
        return value


Field = Integer | Choice | Switch | Real


@dataclass(frozen=True)
class NetworkFormat:
    """How a network class is written.

    Args:
        code: Its number in files.
        fields: Fields by constructor argument. Those with a default come in the order of their bits in
            the presence mask, the ones most often changed first.
        cost: Parameters, and multiply-adds for each pixel, of an architecture.
        on_grids: Whether the network holds latent grids, which are as many as the signal's size says.
    """

    code: int
    fields: Mapping[str, Field]
    cost: Callable[[Mapping[str, int], int], tuple[int, int]]
    on_grids: bool = False


def _quinr_cost(fields: Mapping[str, int], channels: int) -> tuple[int, int]:
    qubits, states = fields["qubits"], 2 ** fields["qubits"]
    features = fields["angles"] * (fields["uploads"] if str(fields["features"]) == "own" else 1)
    pairs = {"ordered": qubits * (qubits - 1), "unordered": qubits * (qubits - 1) // 2, "ring": qubits}
    layers = fields["uploads"] * fields["layers"]
    rotations = layers * (4 * qubits + pairs[str(fields["pairs"])])
    sines, sine_operations = _sine_cost(fields["in_features"], fields["sine_layers"], fields["sine_width"])
    inputs = fields["sine_width"] if fields["sine_layers"] else fields["in_features"]
    embedding = features * (inputs + 1) + (fields["stages"] - 1) * features * (states + 1)
    readout = channels * (states + 1)
    gains = fields["stages"] - 1 if str(fields["stage_norm"]) == "scaled" else 0
    parameters = sines + embedding + fields["stages"] * rotations + gains + readout
    gates = fields["uploads"] * (qubits + fields["angles"]) + layers * (2 * qubits + 2)
    # A gate on one qubit is 8 real multiply-adds for each of the 2**qubits amplitudes.
    return parameters, sine_operations + embedding + readout + fields["stages"] * (8 * states * gates)


def _coin_cost(fields: Mapping[str, int], channels: int) -> tuple[int, int]:
    sines, operations = _sine_cost(fields["in_features"], fields["layers"], fields["width"])
    readout = channels * (fields["width"] + 1)
    return sines + readout, operations + readout


def _sine_cost(inputs: int, layers: int, width: int) -> tuple[int, int]:
    """Parameters and operations of sine layers, the first of them of so many inputs."""
    if not layers:
        return 0, 0
    parameters = width * (inputs + 1) + (layers - 1) * width * (width + 1)
    # A sine costs about 16 multiply-adds.
    return parameters, parameters + 16 * layers * width


def _latent_cost(fields: Mapping[str, int], channels: int) -> tuple[int, int]:
    grids, neighbours, hidden = fields["grids"], fields["neighbours"], fields["context_width"]
    circuit: dict[str, Any] = {**fields, "in_features": grids, "stages": 1, "sine_layers": 0, "sine_width": 1}
    parameters, operations = _quinr_cost(circuit | {"features": "own", "stage_norm": "none"}, channels)
    filters = fields["filters"] * channels * (9 * channels + 1)
    context = hidden * (neighbours + 2) + 2 * (hidden + 1)
    # The twin has fewer weights and operations than the circuit, or a few more where both are small.
    parameters += channels + grids + channels * grids + filters + context + grids + 4
    # Each doubling weighs 8 values of each grid; all grids together have at most 4/3 latents for a pixel.
    return parameters, operations + channels * grids + filters + 16 * grids + 2 * context


FORMATS: dict[str, NetworkFormat] = {
    "QuINR": NetworkFormat(
        code=0,
        fields={
            "qubits": Integer(1, 12),
            "angles": Integer(1, 4096),
            "uploads": Integer(1, 4096),
            "layers": Integer(1, 4096),
            "omega0": Real(16.0),
            "angle_scale": Real(0.8),
            "features": Switch("own", "shared"),
            "readout": Switch("linear", "last_states"),
            "pairs": Choice(("ordered", "unordered", "ring"), "ordered"),
            "stages": Integer(1, 16, 1),
            "range_map": Switch(True, False),
            "stage_norm": Choice(("scaled", "none", "centred", "standardized"), "scaled"),
            "shuffle_seed": Integer(0, 2**32 - 1, 0),
            "in_features": Integer(2, 2, 2),
            "sine_layers": Integer(0, 64, 0),
            "sine_width": Integer(1, 2048, 28),
            "log_range": Integer(0, MOST_NATS, 0),
        },
        cost=_quinr_cost,
    ),
    "COIN": NetworkFormat(
        code=1,
        fields={
            "layers": Integer(1, 64),
            "width": Integer(1, 2048),
            "omega0": Real(30.0),
            "in_features": Integer(2, 2, 2),
            "log_range": Integer(0, MOST_NATS, 0),
        },
        cost=_coin_cost,
    ),
    "LatentQuINR": NetworkFormat(
        code=2,
        fields={
            "finest": Integer(0, 8, 1),
            "grids": Integer(1, 12, 6),
            "qubits": Integer(1, 12, 4),
            "angles": Integer(1, 4096, 8),
            "uploads": Integer(1, 4096, 2),
            "neighbours": Integer(1, 24, 12),
            "context_width": Integer(1, 256, 12),
            "synthesis": Switch("circuit", "relu"),
            "filters": Integer(0, 8, 2),
            "layers": Integer(1, 4096, 1),
            "angle_scale": Real(1.5),
            "pairs": Choice(("ordered", "unordered", "ring"), "ring"),
            "in_features": Integer(2, 2, 2),
        },
        cost=_latent_cost,
        on_grids=True,
    ),
}


def write_signal(writer: Writer, spec: SignalSpec) -> None:
    """Append kind, channels, height, width and, where it is not the kind's usual one, the range."""
    usual = (spec.low, spec.high) == _KIND_RANGE[spec.kind]
    channels = min(spec.channels, _CHANNELS_ESCAPE)
    writer.byte(channels << 4 | (0 if usual else _RANGE_FLAG) | spec.kind)
    if channels == _CHANNELS_ESCAPE:
        writer.varint(spec.channels)
    writer.varint(spec.height)
    writer.varint(spec.width)
    if not usual:
        writer.float32(spec.low)
        writer.float32(spec.high)


def read_signal(reader: Reader) -> SignalSpec:
    """What ``write_signal`` wrote.

    Raises:
        BitstreamError: If the kind is unknown, a size 0 or the range empty.
    """
    first = reader.byte()
    kind_number, channels = first & 0x07, first >> 4
    if kind_number not in list(SignalKind):
        raise BitstreamError(f"signal kind {kind_number} is unknown")
    kind = SignalKind(kind_number)
    if channels == _CHANNELS_ESCAPE:
        channels = reader.varint()
    height, width = reader.varint(), reader.varint()
    low, high = _KIND_RANGE[kind]
    if first & _RANGE_FLAG:
        low, high = reader.float32(), reader.float32()
    try:
        return SignalSpec(kind, height, width, channels, low, high)
    except QuinrError as error:
        raise BitstreamError(str(error)) from None


def write_network(writer: Writer, network: CoordinateNetwork) -> None:
    """Append the network's class and architecture.

    The number of output features is that of the signal's channels, and the size of latent grids follows
    from the signal's: they are not written.

    Raises:
        QuinrError: If the file format has no table for the class or for one of its arguments.
    """
    name = type(network).__name__
    if name not in FORMATS:
        raise QuinrError(f"network {name}: the file format knows {', '.join(FORMATS)}")
    fields = FORMATS[name].fields
    known = {"out_features"} | ({"height", "width"} if FORMATS[name].on_grids else set())
    values = {key: value for key, value in network.architecture().items() if key not in known}
    if values.keys() != fields.keys():
        raise QuinrError(f"network {name}: no file format for {sorted(values.keys() ^ fields.keys())}")
    optional = [key for key, field in fields.items() if field.default is not None]
    present = [key for key in optional if values[key] != fields[key].default]
    writer.byte(FORMATS[name].code)
    writer.varint(sum(1 << optional.index(key) for key in present))
    for key, field in fields.items():
        if key in present or key not in optional:
            try:
                field.write(writer, values[key])
            except QuinrError as error:
                raise QuinrError(f"--model.network.{key} {values[key]}: {error}") from None


def read_architecture(reader: Reader) -> tuple[str, dict[str, Value]]:
    """Class name and constructor arguments that ``write_network`` wrote, each within its bounds.

    Raises:
        BitstreamError: If the class is unknown or a field out of bounds.
    """
    code = reader.byte()
    names = {network_format.code: name for name, network_format in FORMATS.items()}
    if code not in names:
        raise BitstreamError(f"network class {code} is unknown")
    fields = FORMATS[names[code]].fields
    optional = [key for key, field in fields.items() if field.default is not None]
    mask = reader.varint()
    if mask >> len(optional):
        raise BitstreamError(f"network {names[code]}: presence mask {mask:#x} has unknown bits")
    values: dict[str, Value] = {}
    for key, field in fields.items():
        if field.default is not None and not mask >> optional.index(key) & 1:
            values[key] = field.default
            continue
        try:
            values[key] = field.read(reader)
        except BitstreamError as error:
            raise BitstreamError(f"network {names[code]}, field {key}: {error}") from None
    return names[code], values


def build_network(name: str, arguments: Mapping[str, Value], spec: SignalSpec) -> CoordinateNetwork:
    """A network of an architecture, weights undefined; the global random state is left alone.

    Raises:
        BitstreamError: If the network refuses the arguments.
    """
    try:
        shape = {"height": spec.height, "width": spec.width} if FORMATS[name].on_grids else {}
        with torch.random.fork_rng(devices=[]):
            return NETWORKS[name](**arguments, out_features=spec.channels, **shape)
    except QuinrError as error:
        raise BitstreamError(f"network {name}: {error}") from None
