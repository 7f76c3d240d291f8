"""What a kind of section offers to the encoder and to the decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class Content:
    """What a file says behind its header: each section holds a part of it.

    Args:
        spec: The signal. In decoding its mask is there once the section that holds it has been read.
        quantized: The network and its levels and integers, likewise.
        extras: What sections of other packages hold, by the section's name.
    """

    spec: SignalSpec
    quantized: QuantizedNetwork
    extras: Mapping[str, Any] = field(default_factory=dict)


class SectionKind(ABC):
    """A kind of section. Files know it by a line in ``quinr_pl.codec.sections.registry``, or by ``register``.

    Sections are written and read by rising number, those of one name at the place of the lowest, so that one
    may need what an earlier one holds. A frame that is told by another has the sections in which it differs
    from that one, ``content.spec.reference``.

    Attributes:
        name: In messages, and in reports of what takes how many bytes. Kinds of one name are other ways to
            write the same, of which a file has one, the shortest.
        optional: Whether a decoder that does not know the kind may skip it.
        of_signal: Whether it tells of the signal alone, whatever network it is fitted by.
    """

    name: ClassVar[str]
    optional: ClassVar[bool] = False
    of_signal: ClassVar[bool] = False

    @abstractmethod
    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether a file of that network and signal may have such a section.

        Args:
            network: Weights and integers have a shape, and in decoding neither values nor memory yet.
            spec: The signal, in decoding without a mask yet.
        """

    def required(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether a file of that network and signal must have such a section."""
        return False

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What reading such a section costs the decoder, beside what the network's own cost counts."""
        return Cost()

    def unchanged(self, content: Content) -> bool:
        """Whether a frame has of this what the one has that it is told by: it then has no such section."""
        return False

    @abstractmethod
    def write(self, content: Content) -> bytes | None:
        """The payload, None for no section.

        Raises:
            QuinrError: If the format cannot hold the content.
        """

    @abstractmethod
    def read(self, payload: bytes, content: Content) -> Content:
        """The content with what a payload says.

        Raises:
            BitstreamError: If ``write`` cannot have made the payload.
        """

    def sizes(self, payload: bytes, network: NetworkFormat) -> dict[str, int]:
        """Bytes of the parts of a payload, by name; they add up to its size."""
        return {self.name: len(payload)}
