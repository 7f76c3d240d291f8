"""The section that says which pixels of a range image have a return."""

from __future__ import annotations

from dataclasses import replace

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

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.kind.masked

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes; see `Network.cost`."""
        rows, columns = spec.shape
        fronts = wavefront_count(rows, columns, mask_coding.REACH - 1)
        return Cost(spec.pixels * _PIXEL + fronts * WAVEFRONT, spec.pixels * _PIXEL_BYTES)

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        return None if content.spec.mask is None else mask_coding.write(content.spec.mask)

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        mask = mask_coding.read(payload, content.spec.shape)
        return replace(content, spec=replace(content.spec, mask=mask))


MASK = MaskSection()
