"""The arguments of the CPU engine's kernels."""

from __future__ import annotations

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Complexes, Integers, Numbers, Vectors
from quinr_pl.native.code import Code
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import AnyIndex, Index, Vector

MATRIX = 6
"""Vectors of one matrix: tan(φ/2), sin φ, e^{iα}, e^{iγ}; in layer 0 its column: a, 1, b."""

SMALL = 0.785
"""Radians, below π/4."""


class Kernel(Arguments):
    """A kernel under construction and its arguments, which arrive as one array of 64-bit words.

    Args:
        code: Code of the kernel under construction.
        qubits: Number of qubits.
        consecutive: Whether what coordinates have for an input or output lies side by side in memory: read
            and written as vectors, where it is gathered and scattered otherwise.
        prepared: Whether inputs are the real amplitudes that the circuit begins in, rather than angles.
    """

    # Sizes. Where nothing goes past the circuit, or nothing is added, ``skipped`` and ``offsets`` are 0, else
    # they are ``outputs``. ``small`` says that half of an embedded angle stays within SMALL radians.
    first_block: Index
    last_block: Index
    batch: Index
    inputs: Index
    angles: Index
    weights: Index
    outputs: Index
    skipped: Index
    offsets: Index
    layers: Index
    width: Index
    sine: Index
    small: Index
    state_stride: Index
    input_gradient: Index
    controlled: Index
    sums: Index
    reduced: Index
    # The plan.
    embeds: Integers
    pairs: Integers
    columns: Integers
    diagonal_weights: Integers
    generators: Vectors
    # Trained numbers.
    weight: Numbers
    embedding: Numbers
    bias: Numbers
    readout: Numbers
    scales: Numbers
    skip: Numbers
    offset: Numbers
    # The batch, its strides counting numbers, and its states (blocks, 2**qubits, 2).
    x: Numbers
    x_row: Index
    x_column: Index
    y: Numbers
    y_row: Index
    y_column: Index
    cotangent: Numbers
    cotangent_row: Index
    cotangent_column: Index
    x_gradient: Numbers
    x_gradient_row: Index
    x_gradient_column: Index
    state: Vectors
    # Memory of one thread.
    phases: Vectors
    trigonometry: Complexes
    slopes: Vectors
    matrices: Vectors
    table: Complexes
    diagonal: Vectors
    amplitudes: Complexes
    bloch: Vectors
    outputs_block: Vectors  # on the way back their cotangents
    inputs_block: Vectors
    # Sums over coordinates, one after the other, and where sums of the last ones over the lanes go.
    phase_sum: Vectors
    bloch_sum: Vectors
    column_sum: Vectors
    embedding_sum: Vectors
    bias_sum: Vectors
    readout_sum: Vectors
    skip_sum: Vectors
    offset_sum: Vectors
    totals: Numbers

    def __init__(self, code: Code, qubits: int, consecutive: bool, prepared: bool) -> None:
        super().__init__(code)
        self.qubits, self.consecutive, self.prepared = qubits, consecutive, prepared
        self.states = 1 << qubits
        self.state_vectors = state_vectors(qubits, code.precision)

    def read_x(self, block: AnyIndex, column: AnyIndex) -> Vector:
        """A column of the inputs, angles or amplitudes for a block, 0 in lanes past the end of the batch."""
        return self._read(self.x, block, column * self.x_column, self.x_row)

    def read_cotangent(self, block: AnyIndex, output: AnyIndex) -> Vector:
        """The cotangent of an output for a block, 0 in lanes past the end of the batch."""
        return self._read(self.cotangent, block, output * self.cotangent_column, self.cotangent_row)

    def write_y(self, value: Vector, block: AnyIndex, output: AnyIndex) -> None:
        """Write an output for a block."""
        self._write(value, self.y, block, output * self.y_column, self.y_row)

    def write_x_gradient(self, value: Vector, block: AnyIndex, column: AnyIndex) -> None:
        """Write the gradient of a column of the inputs, angles or amplitudes for a block."""
        self._write(value, self.x_gradient, block, column * self.x_gradient_column, self.x_gradient_row)

    def _read(self, array: Numbers, block: AnyIndex, start: AnyIndex, stride: AnyIndex) -> Vector:
        return array.gather(start, block * self.code.lanes, self.batch, 1 if self.consecutive else stride)

    def _write(
        self, value: Vector, array: Numbers, block: AnyIndex, start: AnyIndex, stride: AnyIndex
    ) -> None:
        array.scatter(value, start, block * self.code.lanes, self.batch, 1 if self.consecutive else stride)

    def matrix(self, layer: AnyIndex, qubit: AnyIndex) -> Vectors:
        """The matrix of a layer on a qubit."""
        return self.matrices.at((layer * self.qubits + qubit) * MATRIX)


def state_vectors(qubits: int, precision: Precision) -> int:
    """Vectors that hold one number for each basis state."""
    return max(1, (1 << qubits) // precision.lanes)


ARGUMENTS = Kernel.names()
"""Names of the 64-bit words, in order."""
