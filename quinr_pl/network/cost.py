"""What networks cost the decoder: work and memory, counted before anything of that size is allocated or run.

Work is counted in multiply-adds of a large matrix product in float32; what costs more weighs more, as
benchmarks/decode_cost.py measures. docs/format.md lists the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.signals import SignalSpec

_BLOCK_BYTES = 1 << 23
_BAND_BYTES = 1 << 26
# A block of pixels stays in the cache; a band of rows takes more, since each computes its margins anew.
_MOST_BLOCK, _LEAST_BLOCK = 1 << 16, 16
_LANES, _FRAME = 16, 40  # numbers of a vector; what frames add to a row
SINE = 50
"""Of a SIREN layer's output: the sine, and what the number costs on its way through memory."""
LAYER = 600
"""Of a pixel's way through a SIREN layer, however narrow."""
_ANGLE, _AMPLITUDE = 30, 100
"""Within the engine, and before it."""
_BLOCK = 30_000_000
_PIXEL, _VALUE = 500, 250  # a coordinate, and from a real to the number that is stored
_WEIGHT, _TENSOR = 2_500, 300_000_000
_GATE = 200_000
_WEIGHT_BYTES, _GATE_BYTES = 64, 600
_PLANS = 64  # circuits that are kept prepared
_THREADS = 4


@dataclass(frozen=True)
class Cost:
    """Work and memory of a part of the decoding.

    Args:
        operations: Number of multiply-adds, weighted by their time.
        memory: Memory in bytes.
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
        setup: What comes once: plans of circuits.
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


def circuit_cost(ansatz: Ansatz, inputs: int, outputs: int) -> tuple[int, Cost]:
    """A circuit's work for each pixel, and its plan.

    Args:
        ansatz: Ansatz of the circuit.
        inputs: Features that each angle is a sine of.
        outputs: Rows of the read-out.
    """
    qubits, angles, uploads, states = ansatz.qubits, ansatz.angles, ansatz.uploads, ansatz.states
    groups, pairs = ansatz.blocks * ansatz.layers + 1, len(ansatz.wire_pairs)
    # Trained rotations next to angles are composed anew for each pixel, RY as three.
    kinds = ansatz.gate_kinds
    composed = sum(3 if name == "RY" else 1 for name in kinds.rotations)
    embedded = uploads * angles
    pixel = states * groups * (16 + 2 * qubits)
    pixel += embedded * ((_AMPLITUDE if ansatz.amplitudes else _ANGLE) + 3 * inputs)
    pixel += 15 * composed * uploads * qubits + 3 * states * outputs
    of_layer = (len(kinds.rotations) + len(kinds.closing)) * qubits + pairs
    gates = uploads * angles + ansatz.blocks * ansatz.layers * of_layer
    kept = 8 * groups * (2 * angles + 8 * qubits + pairs)
    scratch = 64 * (2 * groups * (states + 10 * qubits) + embedded * (inputs + 6) + states * (outputs + 8))
    scratch += 64 * 4 * gates
    return pixel, Cost(gates * _GATE, gates * _GATE_BYTES + _PLANS * kept + _THREADS * scratch)


def sine_layers_weights(in_features: int, layers: int, width: int) -> int:
    """Weights and biases of SIREN layers of one width that follow each other, the first on coordinates."""
    return width * (in_features + 1) + (layers - 1) * width * (width + 1) if layers else 0
