"""The section that holds the integers of a network with a context model: its latents.

Those of a frame that is told by another are differences to the other's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers
from quinr_pl.codec.coding import latents as latent_coding
from quinr_pl.codec.coding.latents import FRACTION_BITS, IntegerContext
from quinr_pl.codec.coding.wavefronts import WAVEFRONT, wavefront_count
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.quantized import FIXED_POINT_CODES, STEPS_PER_OCTAVE, QuantizedNetwork
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.network.latent.context_shape import ContextShape
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.signals import SignalSpec

_LATENT, _CONTEXT = 12_000, 26
_LATENT_BYTES = 10


class LatentsSection(SectionKind):
    """Grids of latents, each latent coded with the probabilities that the context model gives it."""

    name = "latents"

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return network.context_shape() is not None

    required = belongs

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes; see `Network.cost`."""
        context, shapes = _context(network), _shapes(network)
        width, neighbours, reach = context.width, context.neighbours, reach_of(context.offsets)
        latents = sum(rows * columns for rows, columns in shapes)
        fronts = sum(wavefront_count(rows, columns, reach) for rows, columns in shapes)
        work = latents * (_LATENT + _CONTEXT * width * (neighbours + 4)) + fronts * WAVEFRONT
        framed = sum((rows + reach) * (columns + 2 * reach) for rows, columns in shapes)
        longest = max(min(rows, -(-columns // (reach + 1))) for rows, columns in shapes)
        return Cost(work, framed * _LATENT_BYTES + 8 * longest * (4 * width + 3 * neighbours + 100))

    def unchanged(self, content: Content) -> bool:
        """Whether all differences are zero; see `SectionKind`."""
        return not any(integers.any() for integers in content.quantized.integers.values())

    def write(self, content: Content) -> bytes:
        """Payload of the section; see `SectionKind`."""
        grids = list(content.quantized.integers.values())
        return latent_coding.encode(grids, integer_context(content.quantized))

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        quantized = content.quantized
        latents = latent_coding.decode(payload, _shapes(quantized.network), integer_context(quantized))
        integers = dict(zip(quantized.network.integer_shapes(), latents, strict=True))
        if content.spec.reference is not None:
            before = content.spec.reference.quantized.integers
            integers = {name: _bounded(before[name] + values) for name, values in integers.items()}
        return replace(content, quantized=replace(quantized, integers=integers))


LATENTS = LatentsSection()


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
