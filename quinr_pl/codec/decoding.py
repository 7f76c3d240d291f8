"""From a file to the signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.file.container import (
    BitstreamError,
    Reader,
    split_sections,
    unpack,
    unpack_sections,
)
from quinr_pl.codec.file.encoder import bytes_by_part
from quinr_pl.codec.file.frame_list import holds_frames
from quinr_pl.codec.file.limits import UNLIMITED, DecodeLimits
from quinr_pl.codec.file.network_header import cost_of, outline, read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.quantized import QuantizedNetwork
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
from quinr_pl.network import NETWORKS
from quinr_pl.network.cost import Cost, NetworkCost
from quinr_pl.network.decoders.protocol import Floats, NetworkFormat, Reconstruction
from quinr_pl.signals import ReferenceFrame, SignalSpec

if TYPE_CHECKING:
    from quinr_pl.network import Network


@dataclass(frozen=True)
class DecodedSignal:
    """What a file says.

    Args:
        spec: Shape and range of the signal.
        quantized: Network and levels.
        sections: Bytes of each part.
        reconstruction: Computes blocks of the signal.
        block: Pixels of a reconstruction that are computed at a time.
        extras: What sections of other packages hold, by the section's name.
        name: The file's name, for messages.
        offset: Computes what is added to the network's values, (pixels, channels), once; None: nothing is.
        told_by: Computes the blocks that the next frame is told by; None: ``reconstruction`` does.
    """

    spec: SignalSpec
    quantized: QuantizedNetwork
    sections: dict[str, int]
    reconstruction: Reconstruction = field(repr=False)
    block: int
    extras: Mapping[str, Any] = field(default_factory=dict)
    name: str = "bytes"
    offset: Callable[[], Floats] | None = field(default=None, repr=False)
    told_by: Reconstruction | None = field(default=None, repr=False)

    @cached_property
    def network(self) -> Network:
        """The network as a module of torch, with its decoded weights, in evaluation mode."""
        described = self.quantized.network
        network = NETWORKS[described.CODE].outline(described.architecture())
        network.reconstruction(self.quantized.values())
        return network.eval()

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
        with named(self.name), np.errstate(all="ignore"):
            values = np.empty((spec.pixels, spec.channels), dtype=spec.dtype)
            for start in range(0, spec.pixels, block):
                stop = min(start + block, spec.pixels)
                values[start:stop] = spec.denormalize(self._targets(start, stop))
                if progress is not None:
                    progress(stop, spec.pixels)
            return spec.masked(values.reshape(*spec.shape, spec.channels))

    def _targets(self, start: int, stop: int) -> Floats:
        """Values of a block of pixels in [0, 1], not clamped: (pixels, channels)."""
        targets = self.reconstruction(start, stop, self.spec.shape)
        if self.offset is not None:
            targets = targets + self.offset()[start:stop]
        if not np.isfinite(targets).all():
            raise BitstreamError("the decoded weights overflow: the file is not valid")
        return targets

    def computed_by(self, reconstruction: Reconstruction) -> DecodedSignal:
        """This file with values that something else computes, such as a GPU.

        The next frame is told by the decoder's, as it was when it was encoded: roundings would add up from
        frame to frame.
        """
        return replace(self, reconstruction=reconstruction, told_by=self.told_by or self.reconstruction)

    def settle(self) -> None:
        """Let go of the frame before, once what it shows of this one is known."""
        if self.offset is not None:
            with named(self.name), np.errstate(all="ignore"):
                self.offset()

    def as_reference(self) -> ReferenceFrame:
        """This signal as what the next frame is told by."""
        spec = replace(self.spec, reference=None)
        if spec.scanner is None or self.quantized.network.context_shape() is None:
            return ReferenceFrame(spec, self.quantized)
        # Without the frames before, which it would keep in memory.
        alone = replace(self, spec=spec, reconstruction=self.told_by or self.reconstruction, told_by=None)

        def targets() -> Floats:
            with np.errstate(all="ignore"):
                blocks = range(0, spec.pixels, alone.block)
                return np.concatenate(
                    [alone._targets(start, min(start + alone.block, spec.pixels)) for start in blocks]
                )

        return ReferenceFrame(spec, self.quantized, targets)

    def points(self) -> npt.NDArray[np.float32]:
        """The points of a scan in its scanner's frame: x, y, z in metres and intensities where there are any.

        Returns:
            (points, 3 or 4) float32.

        Raises:
            QuinrError: If the file does not say where the rays of its pixels lead.
            BitstreamError: As ``reconstruct``.
        """
        if self.spec.scanner is None:
            raise QuinrError(f"{self.name}: does not say where its rays lead, so there are no points")
        values = self.reconstruct()
        points, intensities = self.spec.points(values), self.spec.intensities(values)
        assert points is not None
        return points if intensities is None else np.column_stack([points, intensities])


def decode(
    data: bytes,
    name: str = "bytes",
    limits: DecodeLimits | None = None,
    reference: ReferenceFrame | None = None,
) -> DecodedSignal:
    """Read a file of one signal, or a frame.

    Args:
        data: The whole file; or a frame of a file of several, as `quinr_pl.codec.frames.Frames` has them.
        name: The file's name, for messages.
        limits: What it may ask for, the reconstruction included.
        reference: The frame that this one is told by; None where it stands for itself.

    Raises:
        BitstreamError: In one line, if the file is not valid or asks for more than the limits.
    """
    with named(name):
        limits = limits or DecodeLimits()
        return replace(_decoded(_parsed(data, limits, reference), limits), name=name)


@contextmanager
def named(name: str) -> Iterator[None]:
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
        network: The architecture.
        cost: What it costs.
        payloads: Of the sections.
        sections: Bytes of each part.
    """

    spec: SignalSpec
    network: NetworkFormat
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
        quantized, reference = QuantizedNetwork(self.network, {}), self.spec.reference
        if reference is not None:
            quantized = replace(reference.quantized, network=self.network)
        return read_sections(payloads, Content(self.spec, quantized))


def _parsed(data: bytes, limits: DecodeLimits, reference: ReferenceFrame | None = None) -> _Parsed:
    limits.check_file(data)
    if reference is not None:
        return _parsed_frame(data, limits, reference)
    reader = _opened(data)
    frame = reader.remaining
    spec = read_signal(reader)
    signal_bytes = frame - reader.remaining
    cls, architecture = read_network(reader, spec)
    header_bytes = frame - reader.remaining
    payloads = known_payloads(split_sections(reader))
    cost = cost_of(cls, architecture)
    limits.check(spec, cost.weights)
    network = outline(cls, architecture)
    check_presence(payloads, network, spec)
    sizes = sizes_of_sections(payloads, network)
    return _Parsed(spec, network, cost, payloads, bytes_by_part(len(data), signal_bytes, header_bytes, sizes))


def _opened(data: bytes) -> Reader:
    """See ``unpack``; refuses files of frames."""
    if holds_frames(data):
        raise BitstreamError(
            "the file holds several frames: quinr-pl decompress and quinr_pl.decompress give them all"
        )
    return unpack(data)


def _parsed_frame(data: bytes, limits: DecodeLimits, reference: ReferenceFrame) -> _Parsed:
    """A frame that is told by another: what none of its sections says is as there."""
    payloads = known_payloads(split_sections(unpack_sections(data)))
    spec = replace(reference.spec, reference=reference, motion=None)
    cls, architecture = type(reference.quantized.network), reference.quantized.network.architecture()
    cost = cost_of(cls, architecture)
    network = outline(cls, architecture)
    check_presence(payloads, network, spec)
    sizes = sizes_of_sections(payloads, network)
    return _Parsed(spec, network, cost, payloads, bytes_by_part(len(data), 0, 0, sizes))


def _decoded(parsed: _Parsed, limits: DecodeLimits) -> DecodedSignal:
    limits.check(parsed.spec, parsed.total)
    content = parsed.read(parsed.payloads)
    # Before the reconstruction: a module of torch holds one set of values at a time.
    offset = _offset(content)
    return DecodedSignal(
        content.spec,
        content.quantized,
        parsed.sections,
        parsed.network.reconstruction(content.quantized.values()),
        parsed.cost.block(content.spec),
        content.extras,
        offset=offset,
    )


def _offset(content: Content) -> Callable[[], Floats] | None:
    """What the values of a network are added to: what the frame before shows, where integers are zero."""
    spec, quantized = content.spec, content.quantized
    if spec.motion is None:
        return None
    still = quantized.network.reconstruction(quantized.without_integers().values())(0, 1, spec.shape)
    return _Once(lambda: spec.predicted() - still)


class _Once:
    """A function that computes its value when it is first called, and lets go of what that took.

    Args:
        compute: The function.
    """

    def __init__(self, compute: Callable[[], Floats]) -> None:
        self._compute: Callable[[], Floats] | None = compute

    def __call__(self) -> Floats:
        """The value."""
        if self._compute is not None:
            self._value, self._compute = self._compute(), None
        return self._value


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


def read_spec(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> SignalSpec:
    """Kind, shape and range of a file's signal, from its header alone.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: How long it may be; the default ones when left out.

    Raises:
        BitstreamError: In one line, if the frame or the header is not valid, or the file is too long.
    """
    with named(name):
        (limits or DecodeLimits()).check_file(data)
        return read_signal(_opened(data))


def described(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> dict[str, Any]:
    """What a file of one signal holds, as numbers and strings; latents, mask and pixels are not decoded.

    Args:
        data: The whole file.
        name: The file's name, for messages.
        limits: What it may ask for.

    Raises:
        BitstreamError: If what is shown is not valid, or asks for more than the limits.
    """
    with named(name):
        parsed = _parsed(data, limits or DecodeLimits())
        tensors = parsed.read(weight_payloads(parsed.payloads)).quantized.tensors
    spec, network = parsed.spec, parsed.network
    parameters = network.parameter_count()
    return {
        "kind": spec.kind.name,
        "shape": [*spec.shape, spec.channels],
        "range": [spec.low, spec.high],
        **spec.attributes,
        "network": network.network_name(),
        "architecture": network.architecture(),
        "parameters": parameters,
        "step_sizes": {name: float(np.median(tensor.steps)) for name, tensor in tensors.items()},
        "bytes": len(data),
        "sections": parsed.sections,
        "bpp": 8 * len(data) / spec.pixels,
        "bits_per_parameter": 8 * len(data) / parameters,
    }
