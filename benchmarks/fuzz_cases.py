"""Cases for the fuzzer of the decoder: files mutated byte by byte, and files whose structure is changed.

A case depends on the seed and its number only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.handmade_files import CLASSES, Header, with_nothing, with_payloads
from quinr_pl.codec import BitstreamError, decode, encode
from quinr_pl.codec.file.container import (
    OPTIONAL,
    Section,
    Writer,
    pack,
    pack_sections,
    split_sections,
    unpack,
    unpack_sections,
)
from quinr_pl.codec.file.fields import write_fields
from quinr_pl.codec.file.frame_list import pack_frames, split_frames
from quinr_pl.codec.file.network_header import cost_of, outline, read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.quantized import QuantizedNetwork, QuantizedTensor
from quinr_pl.fields import Choice, Integer, Real
from quinr_pl.signals import RANGE_IMAGE

Generator = np.random.Generator
Case = Callable[[list[bytes], int, int], bytes]
_EXTREMES = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\xc0\x7f",
)
_MOST_PARAMETERS, _MOST_LATENTS, _MOST_MASK = 4000, 20_000, 20_000
_FRAMES = sorted((Path(__file__).parent.parent / "tests" / "data" / "frames").glob("*.quinr"))
_REALS = (2.0**-20, 2.0**20, 1e-30, 3e38, 0.0, -1.0, 30.0)


def repaired(data: bytes) -> bytes:
    """The file with a checksum that fits its bytes."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def mutated(files: list[bytes], seed: int, number: int) -> bytes:
    """A file cut, spliced or changed in a few bytes; half of them get a right checksum."""
    generator = np.random.default_rng([seed, 0, number])
    data = files[generator.integers(len(files))]
    operation = generator.integers(5)
    if operation == 0:
        data = data[: generator.integers(len(data) + 1)]
    elif operation == 1:
        other = files[generator.integers(len(files))]
        data = data[: generator.integers(len(data) + 1)] + other[generator.integers(len(other) + 1) :]
    elif operation == 2:
        data = _change_bytes(generator, data)
    else:
        return _change_parts(generator, files)
    return repaired(data) if generator.integers(2) and len(data) >= 4 else data


def _change_bytes(generator: Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        position = int(generator.integers(len(changed) + 1))
        operation = generator.integers(5)
        if operation == 0 and position < len(changed):
            changed[position] ^= 1 << int(generator.integers(8))
        elif operation == 1 and position < len(changed):
            changed[position] = int(generator.integers(256))
        elif operation == 2:
            changed[position:position] = generator.bytes(int(generator.integers(1, 9)))
        elif operation == 3:
            del changed[position : position + int(generator.integers(1, 9))]
        else:
            extreme = _EXTREMES[generator.integers(len(_EXTREMES))]
            changed[position : position + len(extreme)] = extreme
    return bytes(changed)


def _change_parts(generator: Generator, files: list[bytes]) -> bytes:
    """Header and sections of a file, some changed, some from another file, in a right container."""
    header, sections = _parts(files[generator.integers(len(files))])
    other_header, other_sections = _parts(files[generator.integers(len(files))])
    choice = generator.integers(4)
    if choice == 0:
        header = other_header
    elif choice <= 2:
        header = _change_bytes(generator, header)
    mixed = []
    for section in sections:
        choice = generator.integers(8)
        if choice == 0:
            section = other_sections[generator.integers(len(other_sections))]
        elif choice == 1:
            section = Section(section.type, _change_bytes(generator, section.payload), section.optional)
        mixed.append(section)
    if generator.integers(8) == 0:
        mixed.append(Section(int(generator.integers(128)), generator.bytes(3), bool(generator.integers(2))))
    return pack(header, mixed)


def _parts(data: bytes) -> tuple[bytes, list[Section]]:
    reader = unpack(data)
    length = reader.remaining
    read_network(reader, read_signal(reader))
    length -= reader.remaining
    return data[4 : 4 + length], split_sections(reader)


def structured(files: list[bytes], seed: int, number: int) -> bytes:
    """A file with a right checksum whose header, sections, symbols or sizes are changed as such."""
    generator = np.random.default_rng([seed, 1, number])
    choice = generator.integers(8)
    if choice <= 2:
        return _invented(generator)
    data = files[generator.integers(len(files))]
    if choice <= 4:
        return _other_header(generator, data)
    if choice <= 6:
        return _other_symbols(generator, data)
    return _other_sections(generator, data)


def _log_uniform(generator: Generator, low: int, high: int) -> int:
    return int(low + (high - low + 1) ** generator.random()) - 1


def _value(generator: Generator, field: object) -> Any:
    """Of a field: one time in sixteen one that is not allowed."""
    wild = generator.integers(16) == 0
    if isinstance(field, Integer):
        if wild:
            return int(generator.choice([0, min(field.high, 2**32 - 2) + 1, 2**32 - 1]))
        bound = field.high if generator.integers(4) == 0 else min(field.high, field.low + 12)
        return _log_uniform(generator, field.low, bound)
    if isinstance(field, Choice):
        return len(field.names) if wild else int(generator.integers(len(field.names)))
    if isinstance(field, Real):
        return float(generator.choice(_REALS)) if wild else float(2.0 ** generator.uniform(-3, 6))
    return None


def _size(generator: Generator) -> int:
    octaves = generator.choice([4, 6, 9, 12, 24, 31], p=[0.4, 0.4, 0.14, 0.03, 0.02, 0.01])
    return _log_uniform(generator, 1, 2**octaves)


def _invented(generator: Generator) -> bytes:
    """A header of any numbers, with payloads that fit it where they are small."""
    network = str(generator.choice(list(CLASSES)))
    fields: dict[str, Any] = {}
    for key, field in CLASSES[network].FIELDS.items():
        if field.default is None or generator.integers(3) == 0:
            fields[key] = _value(generator, field)
    kind = int(generator.integers(4)) if generator.integers(32) else int(generator.integers(8))
    channels = 1 if kind == RANGE_IMAGE.code else _log_uniform(generator, 1, 4)
    if generator.integers(16) == 0:
        channels = _size(generator)
    interval = None
    if generator.integers(4) == 0:
        low, high = generator.choice([0.0, -1.0, 1.0, 80.0, 255.0, 3e38, -3e38, 1e-40], 2)
        interval = float(low), float(high)
    header = Header(network, fields, _size(generator), _size(generator), channels, kind, interval)
    mask = kind == RANGE_IMAGE.code and bool(generator.integers(2))
    if not _small(header, mask):
        return with_nothing(header)
    return with_payloads(header, generator if generator.integers(4) else None, mask)


def _small(header: Header, mask: bool) -> bool:
    """Whether payloads for a header are quickly made."""
    try:
        reader = unpack(with_nothing(header))
        spec = read_signal(reader)
        cls, architecture = read_network(reader, spec)
        if cost_of(cls, architecture).parameters > _MOST_PARAMETERS:
            return False
        outline(cls, architecture)
    except BitstreamError:
        return False
    pixels = spec.pixels
    if mask and (pixels > _MOST_MASK or sum(spec.shape) > 3000):
        return False
    latents = CLASSES[header.network].whole_signal
    return not (latents and (pixels > _MOST_LATENTS or sum(spec.shape) > 2000))


def _other_header(generator: Generator, data: bytes) -> bytes:
    """Another size, kind, range or field, with the sections of the file."""
    reader = unpack(data)
    spec = read_signal(reader)
    cls, architecture = read_network(reader, spec)
    sections = split_sections(reader)
    known = cls.FIELDS
    fields = {key: architecture[key] for key, field in known.items() if architecture[key] != field.default}
    for key in generator.choice(list(known), int(generator.integers(0, 3)), replace=False):
        fields[str(key)] = _value(generator, known[str(key)])
    sizes = [*spec.shape, spec.channels]
    if generator.integers(2):
        sizes[generator.integers(len(sizes))] = _size(generator)
    *axes, channels = sizes
    if spec.kind.axes is None:
        axes.insert(0, len(axes))
    attributes = Writer()
    if spec.kind.FIELDS:
        write_fields(spec.kind.FIELDS, attributes, spec.attributes)
    header = Header(
        cls.network_name(),
        fields,
        channels=channels,
        kind=int(generator.integers(8)) if generator.integers(8) == 0 else spec.kind.code,
        interval=(spec.low, spec.high),
        axes=tuple(axes),
        attributes=attributes.getvalue(),
    )
    return pack(header.to_bytes(), sections)


def _other_symbols(generator: Generator, data: bytes) -> bytes:
    """Other levels, step sizes or latents of the same network, coded rightly."""
    decoded = decode(data)
    tensors = dict(decoded.quantized.tensors)
    largest = int(generator.choice([1, 100, 511, 32767]))
    for name in generator.choice(list(tensors), int(generator.integers(1, 4))):
        tensor = tensors[str(name)]
        wild = generator.integers(-largest, largest, tensor.levels.shape, endpoint=True)
        keep = generator.random(tensor.levels.shape) < generator.random()
        tensors[str(name)] = QuantizedTensor(np.where(keep, tensor.levels, wild), tensor.codes)
    shift = 8 * int(generator.integers(-6, 7))
    codes = {name: tensor.codes + shift for name, tensor in tensors.items()}
    if generator.integers(2) and all(code.min() > 96 and code.max() <= 192 for code in codes.values()):
        tensors = {name: QuantizedTensor(tensor.levels, codes[name]) for name, tensor in tensors.items()}
    latents = {
        name: np.where(
            generator.random(grid.shape) < 0.1, generator.integers(-largest, largest + 1, grid.shape), grid
        )
        for name, grid in decoded.quantized.integers.items()
    }
    network = decoded.quantized.network
    return encode(QuantizedNetwork(network, tensors, latents), decoded.spec).data


def _other_sections(generator: Generator, data: bytes) -> bytes:
    """Sections left out, twice, in another order, of other lengths, or many more of them."""
    header, sections = _parts(data)
    choice = generator.integers(5)
    if choice == 0:
        order = generator.integers(0, len(sections), int(generator.integers(0, 4)))
        return pack(header, [sections[at] for at in order])
    if choice == 1:
        empty = Section(int(generator.integers(5, 128)), b"", optional=True)
        return pack(header, sections + [empty] * int(generator.integers(1, 400)))
    if choice == 2:
        at = int(generator.integers(len(sections)))
        section = sections[at]
        tail = generator.bytes(int(generator.integers(1, 1 << int(generator.integers(1, 18)))))
        longer = generator.integers(2)
        payload = section.payload + tail if longer else section.payload[: -len(tail)]
        return pack(
            header, [*sections[:at], Section(section.type, payload, section.optional), *sections[at + 1 :]]
        )
    writer = Writer()
    for section in sections:
        writer.byte(section.type | (OPTIONAL if generator.integers(4) == 0 else 0))
        length = len(section.payload)
        lengths = [length, length, length + 1, max(0, length - 1), _size(generator)]
        writer.varint(lengths[generator.integers(len(lengths))])
        writer.raw(section.payload)
    body = data[:4] + header + writer.getvalue()
    return repaired(body + bytes(4))


def framed(files: list[bytes], seed: int, number: int) -> bytes:
    """A file of frames, one of which has other sections than it should, and a right checksum."""
    generator = np.random.default_rng([seed, 2, number])
    path = _FRAMES[generator.integers(len(_FRAMES))]
    parts = [part.data for part in split_frames(path.read_bytes())[1]]
    at = int(generator.integers(1, len(parts)))
    sections = split_sections(unpack_sections(parts[at]))
    changed = int(generator.integers(len(sections)))
    for index in {changed, *generator.choice(len(sections), int(generator.integers(2)))}:
        kind, payload = sections[index].type, _change_bytes(generator, sections[index].payload)
        if generator.integers(8) == 0:
            kind = int(generator.integers(1, 12))
        sections[index] = Section(kind, payload, sections[index].optional)
    if generator.integers(4) == 0:
        del sections[changed]
    parts[at] = pack_sections(sections)
    return pack_frames(parts)


KINDS: dict[str, Case] = {"mutated": mutated, "structured": structured, "framed": framed}
