"""The section that holds the integers of a network with a context model: its latents.

Those of a frame that is told by another are differences to the other's, or stand for themselves, or tell what
differs from the values that the other shows from where the scanner has moved to.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers
from quinr_pl.codec.coding import latents as latent_coding
from quinr_pl.codec.coding.latents import FRACTION_BITS, IntegerContext
from quinr_pl.codec.coding.wavefronts import WAVEFRONT, wavefront_count
from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.quantized import FIXED_POINT_CODES, STEPS_PER_OCTAVE, QuantizedNetwork
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.errors import QuinrError
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.network.latent.context_shape import ContextShape
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.signals import Motion, SignalSpec

_LATENT, _CONTEXT = 12_000, 26
_LATENT_BYTES = 10
_SEEN, _SEEN_BYTES = 15_000, 400  # of what another frame shows, for each pixel


class LatentsSection(SectionKind):
    """Grids of latents, each latent coded with the probabilities that the context model gives it.

    Attributes:
        anew: Whether nothing is added to those of a frame that is told by another.
    """

    name = "latents"
    anew: ClassVar[bool] = False

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return network.context_shape() is not None

    required = belongs

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes; see `Network.cost`."""
        context, shapes = _context(network), _shapes(network)
        width, neighbours, reach = context.width, context.neighbours, reach_of(context.offsets)
        inputs = neighbours + 4 + (context.layers - 1) * width
        latents = sum(rows * columns for rows, columns in shapes)
        fronts = sum(wavefront_count(rows, columns, reach) for rows, columns in shapes)
        work = latents * (_LATENT + _CONTEXT * width * inputs) + fronts * WAVEFRONT
        framed = sum((rows + reach) * (columns + 2 * reach) for rows, columns in shapes)
        longest = max(min(rows, -(-columns // (reach + 1))) for rows, columns in shapes)
        return Cost(work, framed * _LATENT_BYTES + 8 * longest * (4 * width + 3 * neighbours + 100))

    def unchanged(self, content: Content) -> bool:
        """Whether all differences are zero; see `SectionKind`."""
        return not any(integers.any() for integers in content.quantized.integers.values())

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        reference = content.spec.reference
        anew = reference is not None and reference.anew
        if content.spec.motion is not None or anew is not self.anew:
            return None
        grids = list(content.quantized.integers.values())
        return latent_coding.encode(grids, integer_context(content.quantized))

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        content = _decoded(payload, content)
        if content.spec.reference is None:
            return content
        before = content.spec.reference.quantized.integers
        integers = {
            name: _bounded(before[name] + values) for name, values in content.quantized.integers.items()
        }
        return replace(content, quantized=replace(content.quantized, integers=integers))


class LatentsAnew(LatentsSection):
    """Grids of a frame that is told by another, with nothing added to them: where things have moved on."""

    anew = True

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.reference is not None and super().belongs(network, spec)

    def unchanged(self, content: Content) -> bool:
        """Never: without it latents are those of the frame before; see `SectionKind`."""
        return False

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        return _decoded(payload, content)


class LatentsAfterMotion(LatentsSection):
    """How the scanner has moved since the frame before, then latents that stand for themselves.

    Grids of zeros are left out: the finest ones where the frame before shows nearly all.
    """

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        after_another = spec.reference is not None and spec.reference.targets is not None
        return after_another and super().belongs(network, spec)

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes, that of what the frame before shows included; see `Network.cost`."""
        return super().cost(network, spec) + Cost(spec.pixels * _SEEN, spec.pixels * _SEEN_BYTES)

    def unchanged(self, content: Content) -> bool:
        """Never: a motion has to be told; see `SectionKind`."""
        return False

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        motion, writer = content.spec.motion, Writer()
        if motion is None:
            return None
        for number in (*motion.rotation, *motion.translation):
            writer.signed_varint(number)
        grids = list(content.quantized.integers.values())
        coded = [index for index, grid in enumerate(grids) if grid.any()]
        writer.varint(sum(1 << index for index in coded))
        writer.raw(latent_coding.encode(grids, integer_context(content.quantized), coded))
        return writer.getvalue()

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        reader = Reader(payload, "section latents")
        a, b, c, x, y, z = (reader.signed_varint() for _ in range(6))
        try:
            motion = Motion((a, b, c), (x, y, z))
        except QuinrError as error:
            raise BitstreamError(f"section latents is malformed: {error}") from None
        bits, grids = reader.varint(), len(_shapes(content.quantized.network))
        if bits >> grids:
            raise BitstreamError(f"section latents is malformed: it tells of more than {grids} grids")
        coded = [index for index in range(grids) if bits >> index & 1]
        content = _decoded(reader.raw(reader.remaining), content, coded)
        return replace(content, spec=replace(content.spec, motion=motion))


LATENTS, LATENTS_AFTER_MOTION, LATENTS_ANEW = LatentsSection(), LatentsAfterMotion(), LatentsAnew()


def _decoded(payload: bytes, content: Content, coded: Collection[int] | None = None) -> Content:
    """The content with the latents of a payload, as they are coded."""
    quantized = content.quantized
    context, shapes = integer_context(quantized), _shapes(quantized.network)
    latents = latent_coding.decode(payload, shapes, context, coded)
    integers = dict(zip(quantized.network.integer_shapes(), latents, strict=True))
    return replace(content, quantized=replace(quantized, integers=integers))


def integer_context(quantized: QuantizedNetwork) -> IntegerContext:
    """The context model as the decoder runs it.

    Raises:
        BitstreamError: If a step size of its layers is no power of two that the decoder's integers hold.
    """
    context = _context(quantized.network)

    def units(name: str) -> Integers:
        tensor = quantized.tensors[f"{context.name}.{name}"]
        finest, coarsest = FIXED_POINT_CODES
        octaves, rest = np.divmod(tensor.codes - coarsest, STEPS_PER_OCTAVE)
        if rest.any() or tensor.codes.min() < finest or tensor.codes.max() > coarsest:
            layer = f"{context.name}.{name.rpartition('.')[0]}"
            raise BitstreamError(f"layer {layer} has no fixed-point step size")
        return tensor.levels << (FRACTION_BITS + octaves).reshape(*tensor.levels.shape[:-1], 1)

    return IntegerContext(
        context.offsets,
        units("hidden.weight"),
        units("hidden.bias"),
        units("output.weight"),
        units("output.bias"),
        units("grid.bias"),
        (units("second.weight"), units("second.bias")) if context.layers == 2 else None,
    )


def _bounded(integers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Sums of latents, which a chain of frames could make as large as it likes."""
    if np.abs(integers).max() > latent_coding.LARGEST_LATENT:
        raise BitstreamError("section latents is malformed: a sum of differences is out of range")
    return integers


def _context(network: NetworkFormat) -> ContextShape:
    context = network.context_shape()
    assert context is not None, "the section belongs to networks with a context model"
    return context


def _shapes(network: NetworkFormat) -> list[tuple[int, int]]:
    """Rows and columns of each grid, the finest first."""
    return [(rows, columns) for rows, columns in network.integer_shapes().values()]
