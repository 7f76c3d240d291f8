"""Between a quantized network on grids and the bytes of its latents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quinr_pl.codec.coding import latents as latent_coding
from quinr_pl.codec.coding.latents import FRACTION_BITS, IntegerContext, Integers
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.quantized import FIXED_POINT_CODES, STEPS_PER_OCTAVE, QuantizedNetwork


def integer_context(quantized: QuantizedNetwork) -> IntegerContext:
    """The context model as the decoder runs it.

    Raises:
        BitstreamError: If a step size of its layers is no power of two that the decoder's integers hold.
    """
    context = quantized.network.context_model()
    assert context is not None, "a network with latents has a model that prices them"
    prefix = next(name for name, module in quantized.network.named_modules() if module is context)

    def units(name: str) -> Integers:
        tensor = quantized.tensors[f"{prefix}.{name}"]
        finest, coarsest = FIXED_POINT_CODES
        octaves, rest = np.divmod(tensor.codes - coarsest, STEPS_PER_OCTAVE)
        if rest.any() or tensor.codes.min() < finest or tensor.codes.max() > coarsest:
            raise BitstreamError(f"layer {prefix}.{name.rpartition('.')[0]} has no fixed-point step size")
        return tensor.levels << (FRACTION_BITS + octaves).reshape(*tensor.levels.shape[:-1], 1)

    return IntegerContext(
        context.offsets,
        units("hidden.weight"),
        units("hidden.bias"),
        units("output.weight"),
        units("output.bias"),
        units("grid.bias"),
    )


def write(quantized: QuantizedNetwork) -> bytes:
    """The payload of the section latents."""
    return latent_coding.encode(list(quantized.integers.values()), integer_context(quantized))


def read(payload: bytes, quantized: QuantizedNetwork) -> QuantizedNetwork:
    """The network with the latents of a payload.

    Raises:
        BitstreamError: If the payload is not valid.
    """
    grids = quantized.network.integers()
    shapes = [(grid.shape[0], grid.shape[1]) for grid in grids.values()]
    latents = latent_coding.decode(payload, shapes, integer_context(quantized))
    return replace(quantized, integers=dict(zip(grids, latents, strict=True)))
