"""The weights of a network as a section of a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from quinr_pl.codec.arrays import Integers, Shapes
from quinr_pl.codec.coding.mixture import LevelDecoder, LevelEncoder, low_bits
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.quantized import QuantizedTensor, rows_of
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.errors import QuinrError
from quinr_pl.network.decoders.protocol import NetworkFormat, layers
from quinr_pl.signals import SignalSpec

ROW_UNIT = 4
"""Step size codes of a layer's rows differ by multiples of this: half an octave."""
_LARGEST_CODE = 255
_LARGEST_SHIFT = 7


class WeightsKind(SectionKind):
    """The levels and step sizes of all weights of a network."""

    name = "weights"

    def unchanged(self, content: Content) -> bool:
        """Whether a frame has the weights of another; see `SectionKind`."""
        reference = content.spec.reference
        assert reference is not None, "asked of a frame that is told by another"
        return all(
            np.array_equal(tensor.levels, reference.quantized.tensors[name].levels)
            and np.array_equal(tensor.codes, reference.quantized.tensors[name].codes)
            for name, tensor in content.quantized.tensors.items()
        )


class _AnyWeights(WeightsKind):
    """Weights that are told by themselves, in either of two ways."""

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return True

    required = belongs

    def read(self, payload: bytes, content: Content) -> Content:
        """See SectionKind. The network's cost counts it, since it is checked before the network is built."""
        network = content.quantized.network
        tensors = self.tensors(payload, network.weight_shapes())
        return replace(content, quantized=replace(content.quantized, tensors=tensors))

    @abstractmethod
    def tensors(self, payload: bytes, shapes: Shapes) -> dict[str, QuantizedTensor]:
        """Quantized tensors of a payload.

        Args:
            payload: The whole section.
            shapes: Of the network's weights, by name.

        Raises:
            BitstreamError: If it is malformed.
        """

    def sizes(self, payload: bytes, network: NetworkFormat) -> dict[str, int]:
        """See SectionKind. How far the step sizes of rows are from that of their layer counts as weights."""
        codes = len(layers(network.weight_shapes()))
        return {"step_sizes": codes, "weights": len(payload) - codes}


class WeightsSection(_AnyWeights):
    """A step size for each row."""

    def write(self, content: Content) -> bytes:
        """Payload of the section; see `SectionKind`."""
        return write_weights(content.quantized.tensors)

    def tensors(self, payload: bytes, shapes: Shapes) -> dict[str, QuantizedTensor]:
        """Levels and step sizes of each weight; see `_AnyWeights`."""
        return read_weights(payload, shapes)


class WeightsByLayerSection(_AnyWeights):
    """A step size for each layer, and large levels behind escapes: what the first version wrote."""

    def write(self, content: Content) -> None:
        """Nothing: it is read and no longer written."""

    def tensors(self, payload: bytes, shapes: Shapes) -> dict[str, QuantizedTensor]:
        """Levels and step sizes of each weight; see `_AnyWeights`."""
        return _read_by_layer(payload, shapes)


WEIGHTS, WEIGHTS_BY_LAYER = WeightsSection(), WeightsByLayerSection()


def write_weights(tensors: Mapping[str, QuantizedTensor]) -> bytes:
    """The payload of step sizes and levels, entropy coded.

    Raises:
        QuinrError: If the step sizes of a layer do not lie on its grid.
    """
    encoder, bases = _encoder(tensors)
    return encoder.getvalue(bottom=bytes(bases.values()))


def weight_bits(tensors: Mapping[str, QuantizedTensor]) -> float:
    """What the levels and step sizes of some weights take of a file; see ``write_weights``."""
    encoder, bases = _encoder(tensors)
    return encoder.bits() + 8 * len(bases)


def _encoder(tensors: Mapping[str, QuantizedTensor]) -> tuple[LevelEncoder, dict[str, int]]:
    """Everything but the codes of the layers, and those."""
    bases, offsets = _layer_codes(tensors)
    shifts = {name: low_bits(tensor.levels.ravel()) for name, tensor in tensors.items()}
    encoder = LevelEncoder()
    encoder.write(np.array(list(shifts.values()), dtype=np.int64))
    encoder.write(np.concatenate([offsets[name] for name in tensors]))
    for name, tensor in tensors.items():
        encoder.write(tensor.levels.ravel(), shifts[name])
    return encoder, bases


def _layer_codes(tensors: Mapping[str, QuantizedTensor]) -> tuple[dict[str, int], dict[str, Integers]]:
    """One code for each layer, and by tensor how far its rows are from it, in units of ROW_UNIT."""
    bases: dict[str, int] = {}
    offsets: dict[str, Integers] = {}
    for layer, names in layers(tensors).items():
        codes = np.concatenate([tensors[name].codes for name in names])
        bases[layer] = int(np.sort(codes)[len(codes) // 2])
        if ((codes - bases[layer]) % ROW_UNIT).any():
            raise QuinrError(
                f"layer {layer}: step size codes {sorted(set(codes.tolist()))} must differ by "
                f"multiples of {ROW_UNIT}"
            )
        offsets |= {name: (tensors[name].codes - bases[layer]) // ROW_UNIT for name in names}
    return bases, offsets


def read_weights(payload: bytes, shapes: Shapes) -> dict[str, QuantizedTensor]:
    """Quantized tensors of a payload.

    Args:
        payload: What ``write_weights`` gave.
        shapes: Of the network's weights, by name.

    Raises:
        BitstreamError: If it is malformed.
    """
    decoder = LevelDecoder(payload)
    shifts = decoder.read(len(shapes))
    check_shifts(shifts)
    rows = [rows_of(shape) for shape in shapes.values()]
    offsets = np.split(decoder.read(sum(rows)), np.cumsum(rows)[:-1])
    levels = {
        name: decoder.read(int(np.prod(shape)), int(shift)).reshape(shape)
        for (name, shape), shift in zip(shapes.items(), shifts, strict=True)
    }
    bases = _bases(decoder, shapes)
    tensors = {}
    for (name, values), offset in zip(levels.items(), offsets, strict=True):
        codes = bases[name] + ROW_UNIT * offset
        if codes.min() < 1 or codes.max() > _LARGEST_CODE:
            raise BitstreamError("section weights is malformed: a step size is out of range")
        tensors[name] = QuantizedTensor(values, codes)
    return tensors


def check_shifts(shifts: Integers) -> None:
    """Refuses numbers of low bits that ``low_bits`` does not give.

    Raises:
        BitstreamError: If one is.
    """
    if len(shifts) and not (shifts.min() >= 0 and shifts.max() <= _LARGEST_SHIFT):
        raise BitstreamError("section weights is malformed: a number of low bits is out of range")


def _read_by_layer(payload: bytes, shapes: Shapes) -> dict[str, QuantizedTensor]:
    decoder = LevelDecoder(payload)
    levels = {
        name: decoder.read_with_escapes(int(np.prod(shape))).reshape(shape) for name, shape in shapes.items()
    }
    bases = _bases(decoder, shapes)
    return {name: QuantizedTensor.of_one_step(values, bases[name]) for name, values in levels.items()}


def _bases(decoder: LevelDecoder, shapes: Shapes) -> dict[str, int]:
    """The step size code of each tensor's layer, from the bottom of the stack."""
    codes, grouped = decoder.rest(), layers(shapes)
    if len(codes) != len(grouped) or 0 in codes:
        raise BitstreamError("section weights is malformed: the step sizes are not where they should be")
    return {name: code for names, code in zip(grouped.values(), codes, strict=True) for name in names}
