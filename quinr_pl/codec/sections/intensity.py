"""The section that says what the second channel of a range image tells."""

from __future__ import annotations

from dataclasses import replace

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.errors import QuinrError
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import Intensity, SignalSpec


class IntensitySection(SectionKind):
    """Scale and weight of intensities."""

    name = "intensity"
    of_signal = True

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.kind.scanned and spec.channels == 2

    def unchanged(self, content: Content) -> bool:
        """Whether a frame has the scale and the weight of another; see `SectionKind`."""
        reference = content.spec.reference
        return reference is not None and reference.spec.intensity == content.spec.intensity

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        intensity = content.spec.intensity
        if intensity is None:
            return None
        writer = Writer()
        writer.varint(intensity.scale)
        writer.varint(intensity.weight)
        return writer.getvalue()

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        reader = Reader(payload, "section intensity")
        scale, weight = reader.varint(), reader.varint()
        if reader.remaining:
            raise BitstreamError("section intensity is malformed: it holds more than a scale and a weight")
        try:
            intensity = Intensity(scale, weight)
        except QuinrError as error:
            raise BitstreamError(f"section intensity is malformed: {error}") from None
        return replace(content, spec=replace(content.spec, intensity=intensity))


INTENSITY = IntensitySection()
