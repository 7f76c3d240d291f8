"""From a quantized network to a file and back, and from a file to the signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.codec import latent_section, mask_section
from quinr_pl.codec.architecture import FORMATS, build_network, read_architecture, read_signal
from quinr_pl.codec.bitstream import (
    BitstreamError,
    SectionType,
    known_sections,
    latent_payload,
    mask_payload,
    read_sections,
    unpack,
    weight_section,
)
from quinr_pl.codec.compensated_rounding import quantize_compensated
from quinr_pl.codec.encoder import EncodedSignal, bytes_by_part, encode
from quinr_pl.codec.quantization import (
    QuantizationConfig,
    QuantizedNetwork,
    layers,
    quantize,
)
from quinr_pl.codec.searched_steps import quantize_searched
from quinr_pl.codec.stepwise_rounding import quantize_stepwise
from quinr_pl.codec.wavefronts import wavefront_count
from quinr_pl.codec.weight_section import read_weights
from quinr_pl.errors import QuinrError
from quinr_pl.network import CoordinateNetwork, LatentQuINR
from quinr_pl.network.context_kernels import reach_of
from quinr_pl.network.context_model import NEIGHBOURS
from quinr_pl.network.latent_pyramid import grid_shape
from quinr_pl.signal import SignalKind, SignalSpec


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may ask of the decoder; checked before anything of that size is allocated.

    Args:
        file_bytes: Size of the file.
        pixels: Height times width.
        values: Height times width times channels.
        parameters: Weights of the network.
        operations: Multiply-adds of the whole reconstruction, by the count of docs/format.md.
        latents: Latents of all grids.
        wavefronts: Steps in which they decode, some 10,000 in a second: W + 4 H at most for a grid of H
            rows and W columns.
    """

    file_bytes: int = 1 << 26
    pixels: int = 1 << 27
    values: int = 1 << 29
    parameters: int = 1 << 20
    operations: int = 1 << 44
    latents: int = 1 << 25
    wavefronts: int = 1 << 17


@dataclass(frozen=True)
class DecodedSignal:
    """What a file says.

    Args:
        spec: Shape and range of the signal.
        quantized: Network and levels.
        sections: Bytes of each part.
        network: The network with its decoded weights, in evaluation mode.
        name: The file's name, for messages.
    """

    spec: SignalSpec
    quantized: QuantizedNetwork
    sections: dict[str, int]
    network: CoordinateNetwork = field(repr=False)
    name: str = "bytes"

    @torch.no_grad()
    def reconstruct(
        self, block: int = 65536, progress: Callable[[int, int], None] | None = None
    ) -> npt.NDArray:
        """The signal, computed block by block.

        Args:
            block: Coordinates at a time: memory beyond the result is that of one block.
            progress: Called after each block with the pixels done and their total.

        Returns:
            (height, width, channels) of the signal's dtype: uint8, uint16 or float32.
        """
        spec = self.spec
        empty = spec.denormalize(np.zeros(0, np.float32))
        values = np.empty((spec.pixels, spec.channels), dtype=empty.dtype)
        block = max(block, self.network.smallest_block)
        for start in range(0, spec.pixels, block):
            stop = min(start + block, spec.pixels)
            targets = self.network.signal(start, stop, spec.height, spec.width)
            if not torch.isfinite(targets).all():
                raise BitstreamError(f"{self.name}: the decoded weights overflow: the file is not valid")
            values[start:stop] = spec.denormalize(targets.numpy())
            if progress is not None:
                progress(stop, spec.pixels)
        return spec.without_returns(values.reshape(spec.height, spec.width, spec.channels))


def compress(
    network: CoordinateNetwork,
    spec: SignalSpec,
    config: QuantizationConfig | None = None,
    targets: Tensor | None = None,
) -> EncodedSignal:
    """Quantize a trained network and encode it.

    Args:
        network: A trained network; it is not changed.
        spec: The signal.
        config: How to quantize.
        targets: Values in [0, 1], (pixels, channels), for the methods "stepwise" and "searched".

    Raises:
        QuinrError: If a weight is not finite, the format cannot hold the network, or targets are missing.
    """
    config = config or QuantizationConfig()
    if isinstance(network, LatentQuINR) and config.method not in ("nearest", "searched"):
        raise QuinrError(f"quantization method {config.method}: LatentQuINR needs nearest or searched")
    if config.method == "searched":
        if targets is None or not isinstance(network, LatentQuINR):
            raise QuinrError("quantization method searched: needs LatentQuINR and the signal's targets")
        return encode(quantize_searched(network, spec, targets), spec)
    if config.method == "compensated":
        return encode(quantize_compensated(network, spec, config), spec)
    if config.method == "stepwise":
        if targets is None:
            raise QuinrError("quantization method stepwise: needs the signal's targets; choose compensated")
        return encode(quantize_stepwise(network, spec, targets, config), spec)
    return encode(quantize(network, config), spec)


def decode(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> DecodedSignal:
    """Read a file.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: What it may ask for.

    Raises:
        BitstreamError: In one line, if the file is not valid or asks for more than the limits.
    """
    try:
        return replace(_decode(data, limits or DecodeLimits()), name=name)
    except BitstreamError as error:
        raise BitstreamError(f"{name}: {error}") from None


def _decode(data: bytes, limits: DecodeLimits) -> DecodedSignal:
    if len(data) > limits.file_bytes:
        raise BitstreamError(f"{len(data)} bytes are more than the {limits.file_bytes} the decoder allows")
    reader = unpack(data)
    frame = reader.remaining
    spec = read_signal(reader)
    signal_bytes = frame - reader.remaining
    class_name, arguments = read_architecture(reader)
    header_bytes = frame - reader.remaining
    known = known_sections(read_sections(reader))
    section = weight_section(known)
    latents = latent_payload(known, FORMATS[class_name].on_grids)
    mask = mask_payload(known, spec.kind == SignalKind.RANGE_IMAGE)
    _check_limits(spec, *_cost(class_name, arguments, spec), limits)
    _check_latents(class_name, arguments, spec, limits)
    if mask is not None:
        spec = _with_mask(spec, mask, limits)
    network = build_network(class_name, arguments, spec)
    shapes = {name: tuple(parameter.shape) for name, parameter in network.weights().items()}
    quantized = QuantizedNetwork(network, read_weights(section, shapes))
    if latents is not None:
        quantized = latent_section.read(latents, quantized)
    quantized.load_into(network)
    further = {SectionType.LATENTS: latents, SectionType.MASK: mask}
    present = {kind: payload for kind, payload in further.items() if payload is not None}
    sections = bytes_by_part(
        data, signal_bytes, header_bytes, len(section.payload), len(layers(shapes)), present
    )
    return DecodedSignal(spec, quantized, sections, network.eval())


def _cost(class_name: str, arguments: dict[str, Any], spec: SignalSpec) -> tuple[int, int]:
    return FORMATS[class_name].cost(arguments, spec.channels)


def _check_limits(spec: SignalSpec, parameters: int, operations: int, limits: DecodeLimits) -> None:
    for what, value, limit in (
        ("pixels", spec.pixels, limits.pixels),
        ("values", spec.pixels * spec.channels, limits.values),
        ("parameters", parameters, limits.parameters),
        ("operations", spec.pixels * operations, limits.operations),
    ):
        if value > limit:
            raise BitstreamError(f"the header asks for {value} {what}; the decoder allows {limit}")


def _check_latents(
    class_name: str, arguments: Mapping[str, Any], spec: SignalSpec, limits: DecodeLimits
) -> None:
    if not FORMATS[class_name].on_grids:
        return
    octaves = range(arguments["finest"], arguments["finest"] + arguments["grids"])
    shapes = [grid_shape(spec.height, spec.width, octave) for octave in octaves]
    latents = sum(rows * columns for rows, columns in shapes)
    reach = reach_of(NEIGHBOURS[: arguments["neighbours"]])
    wavefronts = sum(wavefront_count(rows, columns, reach) for rows, columns in shapes)
    for what, value, limit in (
        ("latents", latents, limits.latents),
        ("wavefronts", wavefronts, limits.wavefronts),
    ):
        if value > limit:
            raise BitstreamError(f"the header asks for {value} {what}; the decoder allows {limit}")


def _with_mask(spec: SignalSpec, payload: bytes, limits: DecodeLimits) -> SignalSpec:
    wavefronts = wavefront_count(spec.height, spec.width, mask_section.REACH - 1)
    if wavefronts > limits.wavefronts:
        raise BitstreamError(
            f"the mask asks for {wavefronts} wavefronts; the decoder allows {limits.wavefronts}"
        )
    return replace(spec, returns=mask_section.read(payload, spec.height, spec.width))


def decompress(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> npt.NDArray:
    """The signal of a file, (height, width, channels); see ``decode`` and ``DecodedSignal.reconstruct``."""
    return decode(data, name, limits).reconstruct()


def inspect(data: bytes, name: str = "bytes") -> dict[str, Any]:
    """What a file holds, as plain numbers and strings.

    Raises:
        BitstreamError: If the file is not valid.
    """
    decoded = decode(data, name)
    spec, network = decoded.spec, decoded.network
    parameters = network.parameter_count()
    return {
        "kind": spec.kind.name.lower(),
        "shape": [spec.height, spec.width, spec.channels],
        "range": [spec.low, spec.high],
        "network": type(network).__name__,
        "architecture": network.architecture(),
        "parameters": parameters,
        "step_sizes": {
            name: float(np.median(tensor.steps)) for name, tensor in decoded.quantized.tensors.items()
        },
        "bytes": len(data),
        "sections": decoded.sections,
        "bpp": 8 * len(data) / spec.pixels,
        "bits_per_parameter": 8 * len(data) / parameters,
    }
