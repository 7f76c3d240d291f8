"""The weights of a frame that is told by another: how far its levels are from the other's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quinr_pl.codec.coding.mixture import LARGEST_LEVEL, LevelDecoder, LevelEncoder, low_bits
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.quantized import QuantizedTensor, level_differences
from quinr_pl.codec.sections.protocol import Content
from quinr_pl.codec.sections.weights import WeightsKind, check_shifts
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import SignalSpec

_BOTTOM = b"\x01"


class WeightDifferencesSection(WeightsKind):
    """Differences of levels at the step sizes of the other frame, as one array."""

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.reference is not None

    def write(self, content: Content) -> bytes | None:
        """Payload of the section, None where step sizes differ too; see `SectionKind`."""
        assert content.spec.reference is not None, "the section belongs to frames that are told by another"
        before: dict[str, QuantizedTensor] = content.spec.reference.quantized.tensors
        tensors = content.quantized.tensors
        if not all(np.array_equal(tensor.codes, before[name].codes) for name, tensor in tensors.items()):
            return None
        differences = level_differences(tensors, before)
        if np.abs(differences).max() > LARGEST_LEVEL:
            return None
        shift = low_bits(differences)
        encoder = LevelEncoder()
        encoder.write(np.array([shift]))
        encoder.write(differences, shift)
        return encoder.getvalue(_BOTTOM)

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with the sums of levels; see `SectionKind`."""
        decoder = LevelDecoder(payload)
        shifts = decoder.read(1)
        check_shifts(shifts)
        before = content.quantized.tensors
        sizes = [tensor.levels.size for tensor in before.values()]
        differences = np.split(decoder.read(sum(sizes), int(shifts[0])), np.cumsum(sizes)[:-1])
        if decoder.rest() != _BOTTOM:
            raise BitstreamError("section weights is malformed: it holds more than the weights")
        tensors = {
            name: replace(tensor, levels=tensor.levels + part.reshape(tensor.levels.shape))
            for (name, tensor), part in zip(before.items(), differences, strict=True)
        }
        if any(np.abs(tensor.levels).max() > LARGEST_LEVEL for tensor in tensors.values()):
            raise BitstreamError(f"section weights is malformed: a level above {LARGEST_LEVEL}")
        return replace(content, quantized=replace(content.quantized, tensors=tensors))


WEIGHT_DIFFERENCES = WeightDifferencesSection()
