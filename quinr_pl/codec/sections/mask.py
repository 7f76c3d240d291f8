"""The section that says which pixels of a range image have a return."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quinr_pl.codec.arrays import Mask
from quinr_pl.codec.coding import mask as mask_coding
from quinr_pl.codec.coding.wavefronts import WAVEFRONT, wavefront_count
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import SignalSpec

_PIXEL, _PIXEL_BYTES = 4_000, 3


class MaskSection(SectionKind):
    """The mask of a range image; one without it says so by its values alone."""

    name = "mask"
    of_signal = True

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.kind.masked

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes; see `Network.cost`."""
        rows, columns = spec.shape
        fronts = wavefront_count(rows, columns, mask_coding.REACH - 1)
        return Cost(spec.pixels * _PIXEL + fronts * WAVEFRONT, spec.pixels * _PIXEL_BYTES)

    def unchanged(self, content: Content) -> bool:
        """Whether a frame has the mask of another, or neither has one; see `SectionKind`."""
        mask, other = content.spec.mask, _other(content.spec)
        return mask is None or (other is not None and np.array_equal(mask, other))

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        return None if content.spec.mask is None else mask_coding.write(content.spec.mask)

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        mask = mask_coding.read(payload, content.spec.shape)
        return replace(content, spec=replace(content.spec, mask=mask))


class MaskAfterAnotherSection(MaskSection):
    """The mask of a frame by that of another."""

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return _other(spec) is not None

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        assert content.spec.mask is not None, "either both frames have a mask or none"
        return mask_coding.write(content.spec.mask, _other(content.spec))

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        mask = mask_coding.read(payload, content.spec.shape, _other(content.spec))
        return replace(content, spec=replace(content.spec, mask=mask))


def _other(spec: SignalSpec) -> Mask | None:
    """The mask of the frame that a signal is told by."""
    return None if spec.reference is None else spec.reference.spec.mask


MASK, MASK_AFTER_ANOTHER = MaskSection(), MaskAfterAnotherSection()
