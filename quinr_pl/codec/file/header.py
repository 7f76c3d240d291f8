"""The header's network: its class and architecture, as declared tables of fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.file.fields import Choice, Field, Integer, Real, Switch, Value
from quinr_pl.codec.file.limits import (
    FILTER,
    GRID,
    INTERPOLATION_MARGIN,
    LAYER,
    RELU,
    SINE,
    Cost,
    NetworkCost,
    circuit_cost,
    latents_cost,
)
from quinr_pl.codec.file.signal_header import MOST_AXES
from quinr_pl.errors import QuinrError
from quinr_pl.network import NETWORKS, Network
from quinr_pl.network.base import MOST_NATS
from quinr_pl.network.latent.context_model import NEIGHBOURS
from quinr_pl.network.latent.pyramid import grid_shape
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class NetworkFormat:
    """How a network class is written.

    Args:
        code: Its number in files.
        fields: Fields by constructor argument. Those with a default come in the order of their bits in
            the presence mask, the ones most often changed first.
        cost: What an architecture costs the decoder for a signal.
        on_grids: Whether the network holds latent grids, which are as many as the signal's size says.
    """

    code: int
    fields: Mapping[str, Field]
    cost: Callable[[Mapping[str, Any], SignalSpec], NetworkCost]
    on_grids: bool = False


def _quinr_cost(fields: Mapping[str, Any], spec: SignalSpec) -> NetworkCost:
    channels, states = spec.channels, 2 ** fields["qubits"]
    stages, classical, width = fields["stages"], fields["sine_layers"], fields["sine_width"]
    features = fields["angles"] * (fields["uploads"] if fields["features"] == "own" else 1)
    inputs = width if classical else fields["in_features"]
    parameters = _sine_parameters(fields["in_features"], classical, width)
    parameters += features * (inputs + 1) + (stages - 1) * features * (states + 1)
    gains = stages - 1 if fields["stage_norm"] == "scaled" else 0
    parameters += stages * _rotations(fields) + gains + channels * (states + 1)
    pixel, plan = _circuit_cost(fields, max(inputs, states if stages > 1 else 0), channels)
    operations = parameters + classical * (LAYER + SINE * width)
    operations += stages * pixel + (stages - 1) * SINE * states
    numbers = 4 * max(width if classical else 0, states if stages > 1 else 0) + 8 * channels + 8
    return NetworkCost(parameters, 2 * classical + 3 * stages + 3, operations, numbers, plan)


def _coin_cost(fields: Mapping[str, Any], spec: SignalSpec) -> NetworkCost:
    layers, width = fields["layers"], fields["width"]
    parameters = _sine_parameters(fields["in_features"], layers, width) + spec.channels * (width + 1)
    operations = parameters + layers * (LAYER + SINE * width)
    return NetworkCost(parameters, 2 * layers + 2, operations, 4 * width + 8 * spec.channels + 8)


def _latent_cost(fields: Mapping[str, Any], spec: SignalSpec) -> NetworkCost:
    channels, grids, states = spec.channels, fields["grids"], 2 ** fields["qubits"]
    features, neighbours = fields["angles"] * fields["uploads"], fields["neighbours"]
    filters, hidden = fields["filters"] * channels * (9 * channels + 1), fields["context_width"]
    circuit = features * (grids + 1) + _rotations(fields) + channels * (states + 1)
    # The twin has as many weights as the circuit, or a few more where both are small.
    parameters = circuit + channels + grids + channels * grids + filters
    parameters += hidden * (neighbours + 2) + 2 * (hidden + 1) + grids + 4
    relu = fields["synthesis"] == "relu"
    pixel, plan = _circuit_cost(fields, grids, channels)
    width = circuit // (grids + 1 + channels) + 1
    operations = filters * FILTER + grids * (GRID + channels)
    operations += circuit + RELU * width if relu else pixel
    numbers = 4 * grids + (2 * width if relu else 0) + (fields["filters"] + 8) * channels
    shapes = [grid_shape(*spec.shape, octave) for octave in range(fields["finest"], fields["finest"] + grids)]
    latents = latents_cost(shapes, reach_of(NEIGHBOURS[:neighbours]), neighbours, hidden)
    setup = latents if relu else plan + latents
    margin = fields["filters"] + INTERPOLATION_MARGIN
    return NetworkCost(parameters, 2 * fields["filters"] + 16, operations, numbers, setup, margin)


def _rotations(fields: Mapping[str, Any]) -> int:
    return int(fields["uploads"] * fields["layers"] * (4 * fields["qubits"] + _pairs(fields)))


def _pairs(fields: Mapping[str, Any]) -> int:
    qubits = fields["qubits"]
    return int(
        {"ordered": qubits * (qubits - 1), "unordered": qubits * (qubits - 1) // 2, "ring": qubits}[
            fields["pairs"]
        ]
    )


def _circuit_cost(fields: Mapping[str, Any], inputs: int, outputs: int) -> tuple[int, Cost]:
    return circuit_cost(
        fields["qubits"],
        fields["angles"],
        fields["uploads"],
        fields["layers"],
        _pairs(fields),
        inputs,
        outputs,
    )


def _sine_parameters(inputs: int, layers: int, width: int) -> int:
    return width * (inputs + 1) + (layers - 1) * width * (width + 1) if layers else 0


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
            "in_features": Integer(1, MOST_AXES, 2),
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
            "in_features": Integer(1, MOST_AXES, 2),
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


def write_network(writer: Writer, network: Network) -> None:
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


def check_axes(arguments: Mapping[str, Value], spec: SignalSpec) -> None:
    """Refuses an architecture whose coordinates have another size than the signal's.

    Raises:
        BitstreamError: If they have.
    """
    if arguments["in_features"] != len(spec.shape):
        raise BitstreamError(
            f"network of {arguments['in_features']} coordinates for a signal of {len(spec.shape)} axes"
        )


class _Uninitialized(TorchFunctionMode):
    """Leaves out random initialisation, which a stranger's numbers may make impossible."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.uniform_, Tensor.normal_):
            return args[0]
        return func(*args, **(kwargs or {}))


def build_network(name: str, arguments: Mapping[str, Value], spec: SignalSpec) -> Network:
    """A network of an architecture whose weights have a shape but neither values nor memory.

    Raises:
        BitstreamError: If the network refuses the arguments.
    """
    try:
        shape = dict(zip(("height", "width"), spec.shape, strict=True)) if FORMATS[name].on_grids else {}
        with torch.device("meta"), _Uninitialized():
            return NETWORKS[name](**arguments, out_features=spec.channels, **shape)
    except QuinrError as error:
        raise BitstreamError(f"network {name}: {error}") from None
