"""A second decoder of .quinr files, written from docs/format.md with NumPy and struct alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import independent_latents as on_grids
import numpy as np
from independent_entropy import Stack, read_array
from independent_mask import read_mask
from independent_motion import moved_view, read_motion
from independent_networks import ROTATIONS, evaluate_coin, evaluate_latent_quinr, evaluate_quinr, wire_pairs
from independent_scanner import points_of, read_scanner

QUINR_FIELDS = [
    ("qubits", "integer", None),
    ("angles", "integer", None),
    ("uploads", "integer", None),
    ("layers", "integer", None),
    ("omega0", "real", 16.0),
    ("angle_scale", "real", 0.8),
    ("features", ("switch", "shared"), "own"),
    ("readout", ("switch", "last_states"), "linear"),
    ("pairs", ("choice", "ordered", "unordered", "ring", "none", "strong"), "ordered"),
    ("stages", "integer", 1),
    ("range_map", ("switch", False), True),
    ("stage_norm", ("choice", "scaled", "none", "centred", "standardized"), "scaled"),
    ("shuffle_seed", "integer", 0),
    ("in_features", "integer", 2),
    ("sine_layers", "integer", 0),
    ("sine_width", "integer", 28),
    ("log_range", "integer", 0),
    ("shuffle", ("switch", False), True),
    ("design", ("choice", "quinr", "qiren", "qvf"), "quinr"),
]
COIN_FIELDS = [
    ("layers", "integer", None),
    ("width", "integer", None),
    ("omega0", "real", 30.0),
    ("in_features", "integer", 2),
    ("log_range", "integer", 0),
]


VALUE_TYPES = ["int16", "uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64"]
VALUE_TYPES += ["float32", "float64", "float16"]
KINDS: list[tuple[int, tuple[float, float], list[tuple[str, Any, Any]]]] = [
    (2, (0.0, 255.0), []),
    (2, (0.0, 65535.0), []),
    (2, (0.0, 80.0), []),
    (2, (0.0, 1.0), []),
    (
        1,
        (-1.0, 1.0),
        [
            ("sampling_rate", "integer", 48000),
            (
                "sample_format",
                ("choice", "PCM_16", "PCM_24", "PCM_32", "PCM_U8", "PCM_S8", "FLOAT", "DOUBLE"),
                "PCM_16",
            ),
        ],
    ),
    (
        3,
        (-32768.0, 32767.0),
        [
            ("value_type", ("choice", *VALUE_TYPES), "int16"),
            ("affine", "numbers", (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ],
    ),
]
SAMPLE_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "PCM_U8": 8, "PCM_S8": 8}


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def float32(self) -> float:
        return struct.unpack("<f", self.take(4))[0]


def crc32(data: bytes) -> int:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def open_file(data: bytes) -> Bytes:
    assert data[:4] == b"QNR\x01"
    assert struct.unpack("<I", data[-4:])[0] == crc32(data[:-4])
    return Bytes(data[4:-4])


def read_sections(stream: Bytes) -> dict[int, bytes]:
    sections = {}
    while stream.at < len(stream.data):
        kind = stream.byte()
        sections[kind & 127] = stream.take(stream.varint())
    return sections


def read_signal(stream: Bytes) -> dict[str, Any]:
    first = stream.byte()
    kind, channels = first & 7, first >> 4
    if channels == 15:
        channels = stream.varint()
    axes, (low, high), fields = KINDS[kind]
    shape = tuple(stream.varint() for _ in range(axes))
    if first & 8:
        low, high = stream.float32(), stream.float32()
    attributes = read_fields(stream, fields) if fields else {}
    return {"kind": kind, "shape": shape, "channels": channels, "low": low, "high": high, **attributes}


def read_field(stream: Bytes, kind: Any, default: Any) -> Any:
    if kind == "integer":
        return stream.varint()
    if kind == "numbers":
        differing = stream.varint()
        return tuple(stream.float32() if differing >> i & 1 else usual for i, usual in enumerate(default))
    if kind == "real":
        code = stream.byte()
        if code == 255:
            return stream.float32()
        return code / 20 if code <= 100 else 5 + (code - 100) / 4
    return kind[1] if kind[0] == "switch" else kind[1 + stream.byte()]


def read_network(stream: Bytes) -> dict[str, Any]:
    classes = [("QuINR", QUINR_FIELDS), ("COIN", COIN_FIELDS), ("LatentQuINR", on_grids.LATENT_FIELDS)]
    name, fields = classes[stream.byte()]
    return {"class": name, **read_fields(stream, fields)}


def read_fields(stream: Bytes, fields: list[tuple[str, Any, Any]]) -> dict[str, Any]:
    mask, values = stream.varint(), {}
    for name, kind, default in fields:
        present = True
        if default is not None:
            present, mask = bool(mask & 1), mask >> 1
        values[name] = read_field(stream, kind, default) if present else default
    return values


def sine_shapes(axes: int, layers: int, width: int) -> list[tuple[int, ...]]:
    inputs = ([axes] + [width] * layers)[:layers]
    return [shape for size in inputs for shape in ((width, size), (width,))]


def tensor_shapes(network: dict[str, Any], channels: int) -> list[tuple[int, ...]]:
    if network["class"] == "COIN":
        hidden = sine_shapes(network["in_features"], network["layers"], network["width"])
        return [*hidden, (channels, network["width"]), (channels,)]
    if network["class"] == "LatentQuINR":
        return on_grids.tensor_shapes(network, channels, len(wire_pairs(network["pairs"], network["qubits"])))
    n, uploads, stages = network["qubits"], network["uploads"], network["stages"]
    features = network["angles"] * (uploads if network["features"] == "own" else 1)
    axes = network["in_features"]
    quinr = network["design"] == "quinr"
    observables = 2**n if quinr else n
    inputs = [network["sine_width"] if network["sine_layers"] else axes] + [observables] * (stages - 1)
    shapes = sine_shapes(axes, network["sine_layers"], network["sine_width"])
    shapes += [shape for size in inputs for shape in ((features, size), (features,))]
    blocks = uploads + (network["design"] == "qiren")
    controlled = len(wire_pairs(network["pairs"], n)) if quinr else 0
    shapes += [(blocks, network["layers"], ROTATIONS[network["design"]] * n + controlled)] * stages
    shapes += [(stages - 1,)] * (network["stage_norm"] == "scaled" and stages > 1)
    if network["readout"] == "linear":
        return [*shapes, (channels, observables), (channels,)]
    return shapes + [(channels,), (channels,)] * network["range_map"]


def layer_sizes(network: dict[str, Any]) -> list[int]:
    """Tensors of each layer."""
    if network["class"] == "COIN":
        return [2] * (network["layers"] + 1)
    if network["class"] == "LatentQuINR":
        return on_grids.layer_sizes(network)
    stages = network["stages"]
    gains = [1] * (network["stage_norm"] == "scaled" and stages > 1)
    readout = [2] if network["readout"] == "linear" or network["range_map"] else []
    return [2] * (network["sine_layers"] + stages) + [1] * stages + gains + readout


Levels = list[tuple[np.ndarray, np.ndarray]]
"""Of each tensor its levels, in rows as of the tensor, and the codes of the rows' step sizes."""


def read_levels(sections: Mapping[int, bytes], shapes: list[tuple[int, ...]], layers: list[int]) -> Levels:
    counts = [int(np.prod(shape)) for shape in shapes]
    rows = [int(np.prod(shape[:-1])) for shape in shapes]
    if 1 in sections:
        stack = Stack(sections[1])
        offsets = np.zeros(sum(rows), dtype=np.int64)
        levels = [read_array(stack, n, None) for n in counts]
    else:
        stack = Stack(sections[2])
        shifts = read_array(stack, len(shapes), 0)
        offsets = read_array(stack, sum(rows), 0)
        levels = [read_array(stack, n, int(shift)) for n, shift in zip(counts, shifts, strict=True)]
    bases = stack.rest()
    assert len(bases) == len(layers)
    bases = b"".join(bytes([base]) * size for base, size in zip(bases, layers, strict=True))
    parts = np.split(offsets, np.cumsum(rows)[:-1])
    return [
        (values.reshape(len(part), -1), base + 4 * part)
        for values, base, part in zip(levels, bases, parts, strict=True)
    ]


def read_level_differences(section: bytes, before: Levels) -> Levels:
    stack = Stack(section)
    shift = int(read_array(stack, 1, 0)[0])
    found = read_array(stack, sum(levels.size for levels, _ in before), shift)
    assert stack.rest() == b"\x01"
    after, at = [], 0
    for levels, codes in before:
        after.append((levels + found[at : at + levels.size].reshape(levels.shape), codes))
        at += levels.size
    return after


def tensors_of(levels: Levels, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    tensors = []
    for (values, codes), shape in zip(levels, shapes, strict=True):
        steps = np.float32(2 ** (codes % 8 / 8)).astype(float) * 2.0 ** (codes // 8 - 24)
        scaled = values * steps[:, None]
        tensors.append(scaled.astype(np.float32).astype(np.float64).reshape(shape))
    return tensors


def axis(size: int) -> np.ndarray:
    return 2 * np.arange(size) / (size - 1) - 1 if size > 1 else np.zeros(1)


class Signal:
    """What a file of one signal says: its header, levels of all weights, latents and mask."""

    def __init__(self, data: bytes) -> None:
        stream = open_file(data)
        self.signal = read_signal(stream)
        self.shape, self.channels = self.signal["shape"], self.signal["channels"]
        self.network = read_network(stream) | {"channels": self.channels}
        self.shapes = tensor_shapes(self.network, self.channels)
        sections = read_sections(stream)
        self.levels = read_levels(sections, self.shapes, layer_sizes(self.network))
        self.grids = self.read_grids(sections[3]) if 3 in sections else []
        self.mask = read_mask(Stack(sections[4]), *self.shape) if 4 in sections else None
        assert self.mask is None or self.signal["kind"] == 2
        self.scanner = rays_of(sections, self.shape[0])
        self.shown: np.ndarray | None = None

    def read_grids(self, section: bytes, coded: int = -1) -> list[np.ndarray]:
        tensors = tensors_of(self.levels, self.shapes)
        count = 3 + 2 * self.network["context_layers"]
        context = [np.rint(tensor * 4096).astype(np.int64) for tensor in tensors[-count:]]
        return on_grids.read_grids(Stack(section), self.network, *self.plane(), context, coded)

    def follow(self, data: bytes) -> None:
        """Becomes the frame that is told by this one."""
        assert struct.unpack("<I", data[-4:])[0] == crc32(data[:-4])
        sections = read_sections(Bytes(data[:-4]))
        before = np.clip(self.targets(), 0, 1) if 10 in sections else None
        self.shown = None
        if 2 in sections:
            self.levels = read_levels(sections, self.shapes, layer_sizes(self.network))
        elif 7 in sections:
            self.levels = read_level_differences(sections[7], self.levels)
        if 3 in sections:
            differences = self.read_grids(sections[3])
            self.grids = [old + new for old, new in zip(self.grids, differences, strict=True)]
        elif 11 in sections:
            self.grids = self.read_grids(sections[11])
        if 4 in sections:
            self.mask = read_mask(Stack(sections[4]), *self.shape)
        elif 8 in sections:
            self.mask = read_mask(Stack(sections[8]), *self.shape, self.mask)
        self.scanner = rays_of(sections, self.shape[0]) or self.scanner
        if before is not None:
            stream = Bytes(sections[10])
            motion = read_motion(stream)
            coded = stream.varint()
            self.grids = self.read_grids(stream.data[stream.at :], coded)
            low, high = self.signal["low"], self.signal["high"]
            metres = (low + before * (high - low)).reshape(*self.shape, self.channels)
            seen = moved_view(metres, self.scanner, motion, low, high)
            self.shown = ((seen - low) / (high - low)).reshape(-1, self.channels)

    def plane(self) -> tuple[int, int]:
        """Rows and columns of the signal; all axes but the last are rows."""
        return int(np.prod(self.shape[:-1])), self.shape[-1]

    def targets(self) -> np.ndarray:
        """(pixels, channels) in units of the signal's range, not clamped."""
        shape, network = self.shape, self.network
        tensors = tensors_of(self.levels, self.shapes)
        z = np.stack(np.meshgrid(*map(axis, shape), indexing="ij"), -1).reshape(-1, len(shape))
        if network["class"] == "LatentQuINR":
            t = evaluate_latent_quinr(network, tensors, self.grids, *self.plane())
            if self.shown is not None:
                zeros = [np.zeros_like(grid) for grid in self.grids]
                t = t - evaluate_latent_quinr(network, tensors, zeros, *self.plane()) + self.shown
        else:
            evaluate = evaluate_quinr if network["class"] == "QuINR" else evaluate_coin
            blocks = np.array_split(z, len(z) // 8192 + 1)
            t = np.concatenate([evaluate(network, tensors, block) for block in blocks])
        nats = network.get("log_range", 0)
        if nats:
            t = (np.exp(nats * t) - 1) / (np.exp(nats) - 1)
        return t

    def values(self) -> np.ndarray:
        """(*shape, channels), integers as integers."""
        shape, signal = self.shape, self.signal
        t = self.targets()
        values = signal["low"] + np.clip(t, 0, 1) * (signal["high"] - signal["low"])
        values = of_kind(signal, values).reshape(*shape, self.channels)
        return values if self.mask is None else values * self.mask[:, :, None].astype(np.float32)


def decode(data: bytes) -> np.ndarray:
    """The signal of a .quinr file: (*shape, channels), integers as integers."""
    return Signal(data).values()


def decode_frames(data: bytes) -> list[np.ndarray]:
    """The signals of a .quinr file of several frames."""
    assert data[:4] == b"QNR\x02"
    stream, frames = Bytes(data[4:]), []
    signal = None
    for _ in range(stream.varint()):
        head = stream.varint()
        part = stream.take(head >> 1)
        if head & 1:
            signal = Signal(part)
        else:
            assert signal is not None
            signal.follow(part)
        frames.append(signal.values())
    assert stream.at == len(stream.data)
    return frames


def of_kind(signal: dict[str, Any], values: np.ndarray) -> np.ndarray:
    if signal["kind"] < 2:
        return np.rint(values).astype(np.int64)
    if signal["kind"] == 5:
        dtype = np.dtype(signal["value_type"])
        return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
    if signal.get("sample_format") in SAMPLE_BITS:
        scale = 2 ** (SAMPLE_BITS[signal["sample_format"]] - 1)
        values = np.rint(values * scale) / scale
    return values.astype(np.float32)


def points(data: bytes) -> np.ndarray | None:
    """The points of a .quinr file, (points, 3) in metres; None if it holds no rays."""
    stream = open_file(data)
    height = read_signal(stream)["shape"][0]
    read_network(stream)
    sections = read_sections(stream)
    scanner = rays_of(sections, height)
    return None if scanner is None else points_of(decode(data)[:, :, 0], scanner)


def rays_of(sections: Mapping[int, bytes], height: int) -> dict[str, Any] | None:
    """The scanner of a file with such sections."""
    number = next((number for number in (5, 6) if number in sections), None)
    if number is None:
        return None
    return read_scanner(Bytes(sections[number]), Stack, read_array, height, number == 6)
