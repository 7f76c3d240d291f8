"""Files built by hand: any header with a right checksum, and payloads that fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quinr_pl.codec.coding import latents as latent_coding
from quinr_pl.codec.coding import mask as mask_coding
from quinr_pl.codec.file.container import Reader, Section, Writer, pack
from quinr_pl.codec.file.network_header import outline, read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.quantized import QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.codec.sections.weights import write_weights
from quinr_pl.fields import Choice, Integer, Real
from quinr_pl.network import COIN, LatentQuINR, QuINR
from quinr_pl.signals import IMAGE_8

WEIGHTS, LATENTS, MASK = 2, 3, 4
"""Types of sections."""
_RANGE_FLAG, _CHANNELS_ESCAPE, _REAL_ESCAPE = 0x08, 15, 255
CLASSES = {cls.__name__: cls for cls in (QuINR, COIN, LatentQuINR)}
_CONTEXT_CODE = 152  # 2**-5, of the layers that the decoder runs in integers


@dataclass(frozen=True)
class Header:
    """What a header says, whether that is allowed or not.

    Args:
        network: Class of the network, a key of CLASSES.
        fields: Those that differ from the default, and those without one.
        height: Rows.
        width: Columns.
        channels: Values of a pixel.
        kind: What they are.
        interval: Low and high; the usual ones when left out.
        axes: Sizes as the header has them, for signals of other than two axes.
        attributes: Of the kind, as written.
    """

    network: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    height: int = 4
    width: int = 4
    channels: int = 3
    kind: int = IMAGE_8.code
    interval: tuple[float, float] | None = None
    axes: tuple[int, ...] | None = None
    attributes: bytes = b""

    def to_bytes(self) -> bytes:
        """Signal and network as in a file."""
        writer = Writer()
        escaped = self.channels >= _CHANNELS_ESCAPE
        flag = 0 if self.interval is None else _RANGE_FLAG
        writer.byte(min(self.channels, _CHANNELS_ESCAPE) << 4 | flag | self.kind)
        axes = (self.height, self.width) if self.axes is None else self.axes
        for value in (*([self.channels] if escaped else []), *axes):
            writer.varint(value)
        for value in self.interval or ():
            writer.float32(value)
        writer.raw(self.attributes)
        known = CLASSES[self.network].FIELDS
        optional = [key for key, one in known.items() if one.default is not None]
        present = [key for key in optional if key in self.fields]
        writer.byte(CLASSES[self.network].CODE)
        writer.varint(sum(1 << optional.index(key) for key in present))
        for key, one in known.items():
            if key not in optional or key in present:
                _write(writer, one, self.fields[key])
        return writer.getvalue()


def _write(writer: Writer, one: object, value: Any) -> None:
    if isinstance(one, Integer):
        writer.varint(value)
    elif isinstance(one, Real):
        writer.byte(_REAL_ESCAPE)
        writer.float32(value)
    elif isinstance(one, Choice):
        writer.byte(one.names.index(value) if value in one.names else value)


def with_nothing(header: Header, *more: Section) -> bytes:
    """A file whose payloads are a byte each: it may ask for anything, and cannot hold it."""
    sections = [Section(WEIGHTS, b"\1")]
    if CLASSES[header.network].whole_signal:
        sections.append(Section(LATENTS, b"\1"))
    return pack(header.to_bytes(), [*sections, *more])


def with_payloads(header: Header, generator: np.random.Generator | None = None, mask: bool = False) -> bytes:
    """A valid file: levels and latents zero, or random ones of a generator; all pixels have a return."""
    reader = Reader(header.to_bytes(), "the header")
    spec = read_signal(reader)
    network = outline(*read_network(reader, spec))

    def levels(shape: tuple[int, ...], largest: int) -> np.ndarray:
        if generator is None:
            return np.zeros(shape, np.int64)
        return generator.integers(-largest, largest, shape, endpoint=True)

    tensors = {}
    largest = 1 if generator is None else int(generator.choice([1, 20, 500, 32767]))
    code = 152 if generator is None else int(generator.integers(1, 256))
    for name, shape in network.weight_shapes().items():
        fixed = name.startswith(CLASSES[header.network].fixed_point_layers or "?")
        tensors[name] = QuantizedTensor.of_one_step(levels(shape, largest), _CONTEXT_CODE if fixed else code)
    sections = [Section(WEIGHTS, write_weights(tensors))]
    if network.context_shape() is not None:
        quantized = QuantizedNetwork(network, tensors)
        grids = [levels(shape, min(largest, 40)) for shape in network.integer_shapes().values()]
        payload = latent_coding.encode(grids, integer_context(quantized))
        sections.append(Section(LATENTS, payload))
    if mask:
        returns = np.ones((header.height, header.width), bool)
        sections.append(Section(MASK, mask_coding.write(returns)))
    return pack(header.to_bytes(), sections)
