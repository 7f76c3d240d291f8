"""From a quantized network to a file and back, and from a file to the signal."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.codec.file.container import (
    BitstreamError,
    Section,
    SectionType,
    known_sections,
    latent_payload,
    mask_payload,
    read_sections,
    unpack,
    weight_section,
)
from quinr_pl.codec.file.encoder import EncodedSignal, bytes_by_part, encode
from quinr_pl.codec.file.limits import UNLIMITED, DecodeLimits, latents_cost, mask_cost
from quinr_pl.codec.file.network_header import build_network, read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.rounding.nearest import Nearest
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.sections import latents as latent_section
from quinr_pl.codec.sections import mask as mask_section
from quinr_pl.codec.sections.weights import read_weights
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.network.cost import Cost, NetworkCost
from quinr_pl.ops.kernels.context import reach_of
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
        name: The file's name, for messages.
    """

    spec: SignalSpec
    quantized: QuantizedNetwork
    sections: dict[str, int]
    network: Network = field(repr=False)
    block: int
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
) -> EncodedSignal:
    """Quantize a trained network and encode it.

    Args:
        network: A trained network; it is not changed.
        spec: The signal.
        rounding: How its weights are rounded; each to its nearest level when left out.
        targets: Values in [0, 1], (pixels, channels), for the ways of rounding that need them.
        progress: Told how far the rounding is.

    Raises:
        QuinrError: If a weight is not finite, the format cannot hold the network, or targets are missing.
    """
    rounding = rounding or Nearest()
    if any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        # Decoders compute in single precision: rounding is judged by what they will see.
        network = copy.deepcopy(network).float()
    rounding.check(network)
    return encode(rounding.quantize(network, spec, targets, progress), spec)


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
        weights: Section of the weights.
        further: Payloads of the other sections.
        sections: Bytes of each part.
    """

    spec: SignalSpec
    network: Network
    cost: NetworkCost
    weights: Section
    further: dict[SectionType, bytes]
    sections: dict[str, int]

    @property
    def total(self) -> Cost:
        """What decoding and reconstruction take."""
        total = self.cost.weights + self.cost.setup + self.cost.reconstruction(self.spec)
        context = self.network.context_model()
        if context is not None:
            shapes = [(grid.shape[0], grid.shape[1]) for grid in self.network.integers().values()]
            width = context.hidden.out_features
            total += latents_cost(shapes, reach_of(context.offsets), context.neighbours, width)
        if SectionType.MASK in self.further:
            total += mask_cost(self.spec, mask_section.REACH - 1)
        return total

    def read_weights(self) -> QuantizedNetwork:
        """The weights, without latents."""
        return QuantizedNetwork(self.network, read_weights(self.weights, _shapes(self.network)))


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in network.weights().items()}


def _parsed(data: bytes, limits: DecodeLimits) -> _Parsed:
    limits.check_file(data)
    reader = unpack(data)
    frame = reader.remaining
    spec = read_signal(reader)
    signal_bytes = frame - reader.remaining
    cls, architecture = read_network(reader, spec)
    header_bytes = frame - reader.remaining
    known = known_sections(read_sections(reader))
    weights = weight_section(known)
    cost = cls.cost(architecture)
    limits.check(spec, cost.weights)
    network = build_network(cls, architecture)
    latents = latent_payload(known, network.context_model() is not None)
    mask = mask_payload(known, spec.kind.masked)
    optional = {SectionType.LATENTS: latents, SectionType.MASK: mask}
    further = {kind: payload for kind, payload in optional.items() if payload is not None}
    sections = bytes_by_part(
        data, signal_bytes, header_bytes, len(weights.payload), len(layers(network.weights())), further
    )
    return _Parsed(spec, network, cost, weights, further, sections)


def _decoded(parsed: _Parsed, limits: DecodeLimits) -> DecodedSignal:
    spec, network = parsed.spec, parsed.network
    latents, mask = (parsed.further.get(kind) for kind in (SectionType.LATENTS, SectionType.MASK))
    limits.check(spec, parsed.total)
    quantized = parsed.read_weights()
    if latents is not None:
        quantized = latent_section.read(latents, quantized)
    if mask is not None:
        spec = replace(spec, mask=mask_section.read(mask, spec.shape))
    quantized.fill(network)
    return DecodedSignal(spec, quantized, parsed.sections, network.eval(), parsed.cost.block(spec))


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
        tensors = parsed.read_weights().tensors
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
