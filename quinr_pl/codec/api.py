"""From a quantized network to a file and back, and from a file to the signal."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.codec.file.container import BitstreamError, split_sections, unpack
from quinr_pl.codec.file.encoder import EncodedSignal, bytes_by_part, encode
from quinr_pl.codec.file.limits import UNLIMITED, DecodeLimits
from quinr_pl.codec.file.network_header import build_network, read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.rounding.nearest import Nearest
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.sections.protocol import Content
from quinr_pl.codec.sections.registry import (
    Payloads,
    check_presence,
    cost_of_sections,
    known_payloads,
    read_sections,
    sizes_of_sections,
    weight_payloads,
)
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.cost import Cost, NetworkCost
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class DecodedSignal:
    """What a file says.

    Args:
        spec: Shape and range of the signal.
        quantized: Network and levels.
        sections: Bytes of each part.
        network: The network with its decoded weights, in evaluation mode.
        block: Pixels of a reconstruction that are computed at a time.
        extras: What sections of other packages hold, by the section's name.
        name: The file's name, for messages.
    """

    spec: SignalSpec
    quantized: QuantizedNetwork
    sections: dict[str, int]
    network: Network = field(repr=False)
    block: int
    extras: Mapping[str, Any] = field(default_factory=dict)
    name: str = "bytes"

    @torch.no_grad()
    def reconstruct(
        self, block: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> npt.NDArray:
        """The signal, computed block by block.

        Args:
            block: Pixels at a time, which bound the memory beyond the result; ``self.block`` when left out.
            progress: Called after each block with the pixels done and their total.

        Returns:
            (*shape, channels) of the signal's dtype: uint8 or uint16 for images, float32 for others.

        Raises:
            BitstreamError: If the decoded weights overflow, or memory does not suffice.
        """
        spec = self.spec
        block = block or self.block
        with _named(self.name):
            values = np.empty((spec.pixels, spec.channels), dtype=spec.dtype)
            for start in range(0, spec.pixels, block):
                stop = min(start + block, spec.pixels)
                targets = self.network.signal(start, stop, spec.shape)
                if not torch.isfinite(targets).all():
                    raise BitstreamError("the decoded weights overflow: the file is not valid")
                values[start:stop] = spec.denormalize(targets.numpy())
                if progress is not None:
                    progress(stop, spec.pixels)
            return spec.masked(values.reshape(*spec.shape, spec.channels))


def compress(
    network: Network,
    spec: SignalSpec,
    rounding: Rounding | None = None,
    targets: Tensor | None = None,
    progress: Progress = untold,
    extras: Mapping[str, Any] | None = None,
) -> EncodedSignal:
    """Quantize a trained network and encode it.

    Args:
        network: A trained network; it is not changed.
        spec: The signal.
        rounding: How its weights are rounded; each to its nearest level when left out.
        targets: Values in [0, 1], (pixels, channels), for the ways of rounding that need them.
        progress: Told how far the rounding is.
        extras: What sections of other packages are to hold, by the section's name.

    Raises:
        QuinrError: If a weight is not finite, the format cannot hold the network, or targets are missing.
    """
    rounding = rounding or Nearest()
    if any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        # Decoders compute in single precision: rounding is judged by what they will see.
        network = copy.deepcopy(network).float()
    rounding.check(network)
    return encode(rounding.quantize(network, spec, targets, progress), spec, extras)


def check_encodable(network: Network, spec: SignalSpec, *roundings: Rounding) -> None:
    """Makes sure that a network has a file and that it can be decoded, whatever its weights are fitted to.

    Args:
        network: Before it is trained.
        spec: The signal.
        roundings: How its weights will be rounded.

    Raises:
        QuinrError: If the format or the rounding leave the network out, or the decoder refuses its file.
    """
    for rounding in roundings:
        rounding.check(network)
    try:
        decode(encode(Nearest().quantize(network, spec), spec).data, limits=UNLIMITED)
    except BitstreamError as error:
        raise QuinrError(f"--model.network: its file could not be decoded, {error}") from error


def decode(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> DecodedSignal:
    """Read a file.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: What it may ask for, the reconstruction included.

    Raises:
        BitstreamError: In one line, if the file is not valid or asks for more than the limits.
    """
    with _named(name):
        limits = limits or DecodeLimits()
        return replace(_decoded(_parsed(data, limits), limits), name=name)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors name the file; too little memory is one, which torch says in a RuntimeError."""
    try:
        yield
    except BitstreamError as error:
        raise BitstreamError(f"{name}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "DefaultCPUAllocator" not in str(error):
            raise
        raise BitstreamError(f"{name}: there is not enough memory to decode it") from None


@dataclass(frozen=True)
class _Parsed:
    """What a file says before anything is decoded.

    Args:
        spec: The signal, without a mask.
        network: The architecture, weights without values or memory.
        cost: What it costs.
        payloads: Of the sections.
        sections: Bytes of each part.
    """

    spec: SignalSpec
    network: Network
    cost: NetworkCost
    payloads: Payloads
    sections: dict[str, int]

    @property
    def total(self) -> Cost:
        """What decoding and reconstruction take."""
        network = self.cost.weights + self.cost.setup + self.cost.reconstruction(self.spec)
        return network + cost_of_sections(self.payloads, self.network, self.spec)

    def read(self, payloads: Payloads) -> Content:
        """What some of the sections hold."""
        return read_sections(payloads, Content(self.spec, QuantizedNetwork(self.network, {})))


def _parsed(data: bytes, limits: DecodeLimits) -> _Parsed:
    limits.check_file(data)
    reader = unpack(data)
    frame = reader.remaining
    spec = read_signal(reader)
    signal_bytes = frame - reader.remaining
    cls, architecture = read_network(reader, spec)
    header_bytes = frame - reader.remaining
    payloads = known_payloads(split_sections(reader))
    cost = cls.cost(architecture)
    limits.check(spec, cost.weights)
    network = build_network(cls, architecture)
    check_presence(payloads, network, spec)
    sizes = sizes_of_sections(payloads, network)
    return _Parsed(spec, network, cost, payloads, bytes_by_part(len(data), signal_bytes, header_bytes, sizes))


def _decoded(parsed: _Parsed, limits: DecodeLimits) -> DecodedSignal:
    limits.check(parsed.spec, parsed.total)
    content, network = parsed.read(parsed.payloads), parsed.network
    content.quantized.fill(network)
    return DecodedSignal(
        content.spec,
        content.quantized,
        parsed.sections,
        network.eval(),
        parsed.cost.block(content.spec),
        content.extras,
    )


def limits_needed(data: bytes, limits: DecodeLimits | None = None) -> float:
    """For ``scaled``: the smallest factor of limits, 1 or more, with which a file decodes.

    Args:
        data: The whole file.
        limits: Those to scale; the default ones when left out.

    Raises:
        BitstreamError: If its header or its sections are not valid.
    """
    parsed = _parsed(data, UNLIMITED)
    return (limits or DecodeLimits()).factor(parsed.spec, parsed.total)


def decompress(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> npt.NDArray:
    """The signal of a file.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: What it may ask for; the default ones when left out.

    Returns:
        (*shape, channels) of the signal's dtype: uint8, uint16 or float32 for this package's kinds.

    Raises:
        BitstreamError: In one line, if the file is not valid or asks for more than the limits.

    Example:
        >>> from pathlib import Path
        >>> from quinr_pl import decompress
        >>> image = decompress(Path("photo.quinr").read_bytes())
        >>> image.shape, image.dtype
        ((70, 51, 3), dtype('uint8'))
    """
    return decode(data, name, limits).reconstruct()


def inspect(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> dict[str, Any]:
    """What a file holds, as plain numbers and strings; latents, mask and pixels are not decoded.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: What it may ask for.

    Raises:
        BitstreamError: If what is shown is not valid, or asks for more than the limits.
    """
    with _named(name):
        parsed = _parsed(data, limits or DecodeLimits())
        tensors = parsed.read(weight_payloads(parsed.payloads)).quantized.tensors
    spec, network = parsed.spec, parsed.network
    parameters = network.parameter_count()
    return {
        "kind": spec.kind.name,
        "shape": [*spec.shape, spec.channels],
        "range": [spec.low, spec.high],
        "network": type(network).__name__,
        "architecture": network.architecture(),
        "parameters": parameters,
        "step_sizes": {name: float(np.median(tensor.steps)) for name, tensor in tensors.items()},
        "bytes": len(data),
        "sections": parsed.sections,
        "bpp": 8 * len(data) / spec.pixels,
        "bits_per_parameter": 8 * len(data) / parameters,
    }
