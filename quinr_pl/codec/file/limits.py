"""What a file may ask of the decoder, counted before anything of that size is allocated or run.

Work is counted in multiply-adds of a large matrix product in float32; what costs more weighs more, as
benchmarks/decode_cost.py measures.
docs/format.md lists the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from quinr_pl.codec.coding.wavefronts import wavefront_count
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.signals import SignalSpec

_BLOCK_BYTES = 1 << 23
_BAND_BYTES = 1 << 26
# A block of pixels stays in the cache; a band of rows takes more, since each computes its margins anew.
_MOST_BLOCK, _LEAST_BLOCK = 1 << 16, 16
_LANES, _FRAME = 16, 40  # numbers of a vector; what frames add to a row
INTERPOLATION_MARGIN = 6
"""Rows to either side that the interpolation of a band computes in vain."""

SINE = 50
"""Of a sine layer's output: the sine, and what the number costs on its way through memory."""
LAYER = 600
"""Of a pixel's way through a sine layer, however narrow."""
GRID = 100
"""Of a grid's value at a pixel, all doublings on the way there included."""
FILTER, RELU = 3, 60
"""Of a multiply-add of a 3 x 3 filter, and of a hidden unit of the synthesis."""
_BLOCK = 30_000_000
_PIXEL, _VALUE = 500, 250  # a coordinate, and from a real to the number that is stored
_WEIGHT, _TENSOR = 2_500, 300_000_000
_GATE = 200_000
_LATENT, _FRONT = 12_000, 1_500_000
_CONTEXT = 26
_MASK_PIXEL = 4_000
_WEIGHT_BYTES, _GATE_BYTES, _LATENT_BYTES = 64, 600, 10
_MASK_BYTES = 3
_PLANS = 64  # circuits that are kept prepared
_THREADS = 4


@dataclass(frozen=True)
class Cost:
    """Work and memory of a part of the decoding.

    Args:
        operations: Weighted multiply-adds.
        memory: Bytes.
    """

    operations: int = 0
    memory: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.operations + other.operations, self.memory + other.memory)


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs the decoder.

    Args:
        parameters: Weights of the file.
        tensors: What they are parts of.
        operations: Work for each pixel.
        numbers: Numbers in single precision that a pixel takes while its block is under way.
        setup: What comes once: plans of circuits, latents.
        margin: Rows above and below a band of rows that it works on; None if pixels do not depend on others.
    """

    parameters: int
    tensors: int
    operations: int
    numbers: int
    setup: Cost = Cost()
    margin: int | None = None

    @property
    def weights(self) -> Cost:
        """Reading the weights."""
        work = self.parameters * _WEIGHT + self.tensors * _TENSOR
        return Cost(work, self.parameters * _WEIGHT_BYTES)

    def block(self, spec: SignalSpec) -> int:
        """Pixels of a block of the reconstruction."""
        if self.margin is None:
            return min(max(_BLOCK_BYTES // (4 * self.numbers), _LEAST_BLOCK), _MOST_BLOCK)
        rows = _BAND_BYTES // (4 * self.numbers * self._row(spec)) - 2 * self.margin
        return spec.shape[-1] * min(max(rows, 1), spec.pixels // spec.shape[-1])

    def reconstruction(self, spec: SignalSpec) -> Cost:
        """From weights and latents to the signal."""
        values, block = spec.pixels * spec.channels, self.block(spec)
        blocks = -(-spec.pixels // block)
        pixels, held = spec.pixels, block
        if self.margin is not None:
            rows = block // spec.shape[-1] + 2 * self.margin
            held = rows * self._row(spec)
            pixels = blocks * min(rows, spec.pixels // spec.shape[-1]) * self._row(spec)
        # The result, and its copy on the way to a picture.
        memory = 2 * values * spec.dtype.itemsize + 4 * self.numbers * held
        return Cost(pixels * (self.operations + _PIXEL) + values * _VALUE + blocks * _BLOCK, memory)

    def _row(self, spec: SignalSpec) -> int:
        """Numbers of a row in a frame."""
        return _LANES * -(-spec.shape[-1] // _LANES) + _FRAME


def circuit_cost(
    qubits: int, angles: int, uploads: int, layers: int, pairs: int, inputs: int, outputs: int
) -> tuple[int, Cost]:
    """A circuit's work for each pixel, and its plan.

    Args:
        qubits: Their number.
        angles: Of one upload.
        uploads: Their number.
        layers: Entangling layers after each of them.
        pairs: CRZ gates of a layer.
        inputs: Features that each angle is a sine of.
        outputs: Rows of the read-out.
    """
    states, groups = 2**qubits, uploads * layers + 1
    embedded = uploads * angles
    pixel = states * groups * (16 + 2 * qubits) + embedded * (30 + 3 * inputs) + 30 * uploads * qubits
    pixel += 3 * states * outputs
    gates = uploads * (angles + layers * (4 * qubits + pairs))
    kept = 8 * groups * (2 * angles + 8 * qubits + pairs)
    scratch = 64 * (2 * groups * (states + 10 * qubits) + embedded * (inputs + 6) + states * (outputs + 8))
    scratch += 64 * 4 * gates
    return pixel, Cost(gates * _GATE, gates * _GATE_BYTES + _PLANS * kept + _THREADS * scratch)


def latents_cost(shapes: Sequence[tuple[int, int]], reach: int, neighbours: int, width: int) -> Cost:
    """Decoding grids of latents.

    Args:
        shapes: Rows and columns of each.
        reach: Of the neighbours, in rows and columns.
        neighbours: That the context model sees.
        width: Its hidden units.
    """
    latents = sum(rows * columns for rows, columns in shapes)
    fronts = sum(wavefront_count(rows, columns, reach) for rows, columns in shapes)
    work = latents * (_LATENT + _CONTEXT * width * (neighbours + 4)) + fronts * _FRONT
    framed = sum((rows + reach) * (columns + 2 * reach) for rows, columns in shapes)
    longest = max(min(rows, -(-columns // (reach + 1))) for rows, columns in shapes)
    return Cost(work, framed * _LATENT_BYTES + 8 * longest * (4 * width + 3 * neighbours + 100))


def mask_cost(spec: SignalSpec, reach: int) -> Cost:
    """Decoding the mask of a range image."""
    fronts = wavefront_count(*spec.shape, reach)
    return Cost(spec.pixels * _MASK_PIXEL + fronts * _FRONT, spec.pixels * _MASK_BYTES)


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may ask of the decoder.

    The defaults are what one core of a desktop does in about ten seconds and in 2 GiB, for a picture of at
    most 12 megapixels; larger ones may take more by their pixels.

    Args:
        file_bytes: Size of the file.
        pixels: Product of the sizes of the axes.
        memory: Bytes that decoding holds at a time, the result included.
        operations: Work by the count of docs/format.md, whatever the size of the signal.
        pixel_operations: The same for each pixel; the larger of both counts.
    """

    file_bytes: float = 1 << 26
    pixels: float = 1 << 27
    memory: float = 3 << 29
    operations: float = 2.2e11
    pixel_operations: float = 37_000

    def scaled(self, factor: float) -> DecodeLimits:
        """Limits so many times as high; ``math.inf`` allows everything."""
        return DecodeLimits(**{name: factor * value for name, value in asdict(self).items()})

    def check_file(self, data: bytes) -> None:
        """Refuses a file that is too long.

        Raises:
            BitstreamError: In one line.
        """
        if len(data) > self.file_bytes:
            # Who read it may have stopped here: how long it is nobody knows.
            raise BitstreamError(
                f"the file is longer than the {self.file_bytes:.0f} bytes that the decoder allows; {_REMEDY}"
            )

    def check(self, spec: SignalSpec, cost: Cost) -> None:
        """Refuses what a file asks for.

        Raises:
            BitstreamError: In one line.
        """
        for what, value, limit in self._demands(spec, cost):
            if value > limit:
                raise BitstreamError(
                    f"the file asks for {value:.3g} {what}; the decoder allows {limit:.3g}; "
                    f"{_REMEDY} {1.01 * value / limit:.3g}"
                )

    def factor(self, spec: SignalSpec, cost: Cost) -> float:
        """For ``scaled``: the smallest factor, 1 or more, with which that passes."""
        return max(1.0, *(value / limit for _, value, limit in self._demands(spec, cost)))

    def _demands(self, spec: SignalSpec, cost: Cost) -> tuple[tuple[str, float, float], ...]:
        """What is counted, how much of it is asked for, and how much is allowed."""
        operations = max(self.operations, self.pixel_operations * spec.pixels)
        return (
            ("pixels", spec.pixels, self.pixels),
            ("bytes of memory", cost.memory, self.memory),
            ("operations", cost.operations, operations),
        )


UNLIMITED = DecodeLimits().scaled(math.inf)
"""For files of one's own."""
_REMEDY = "if you trust it, raise the limits: --limits"
