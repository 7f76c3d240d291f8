"""The arguments of the CPU engine's kernels."""

from __future__ import annotations

from llvmlite import ir

from quinr_pl.native.arguments import Arguments, Integers, Numbers, Size, Vectors
from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Array, Value

MATRIX = 6
"""Vectors of one matrix: tan(φ/2), sin φ, e^{iα}, e^{iγ}; in layer 0 its column: a, 1, b."""


class Kernel(Arguments):
    """A function under construction and its arguments, which arrive as one array of 64-bit words.

    Args:
        module: Where the function goes.
        name: Its name.
        qubits: Number of qubits.
        precision: The format of its numbers.
    """

    # Sizes.
    first_block: Size
    last_block: Size
    batch: Size
    inputs: Size
    angles: Size
    weights: Size
    outputs: Size
    layers: Size
    width: Size
    sine: Size
    state_stride: Size
    input_gradient: Size
    controlled: Size
    sums: Size
    reduced: Size
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
    # The batch, its strides counting numbers, and its states (blocks, 2**qubits, 2).
    x: Numbers
    x_row: Size
    x_column: Size
    y: Numbers
    cotangent: Numbers
    cotangent_row: Size
    cotangent_column: Size
    x_gradient: Numbers
    state: Vectors
    # Memory of one thread.
    phases: Vectors
    trigonometry: Vectors
    slopes: Vectors
    matrices: Vectors
    table: Vectors
    diagonal: Vectors
    amplitudes: Vectors
    bloch: Vectors
    cotangents: Vectors
    inputs_block: Vectors
    # Sums over coordinates, one after the other, and where sums of the last four over the lanes go.
    phase_sum: Vectors
    bloch_sum: Vectors
    column_sum: Vectors
    embedding_sum: Vectors
    bias_sum: Vectors
    readout_sum: Vectors
    totals: Numbers

    def __init__(self, module: ir.Module, name: str, qubits: int, precision: Precision) -> None:
        super().__init__(module, name, precision)
        self.qubits = qubits
        self.states = 1 << qubits
        self.state_vectors = state_vectors(qubits, precision)

    def read(self, array: Array, block: Value, column: Value, strides: tuple[Size, Size]) -> Value:
        """A column of a (batch, k) array for a block, 0 in lanes past the end of the batch."""
        start = self.code.offset((column, strides[1]))
        return self.code.gather(array, start, *self._lanes(block), strides[0])

    def write(self, value: Value, array: Array, block: Value, column: Value, width: Size) -> None:
        """Write a column of a contiguous (batch, width) array for a block."""
        self.code.scatter(value, array, column, *self._lanes(block), width)

    def _lanes(self, block: Value) -> tuple[Value, Value]:
        return self.code.times(block, self.code.lanes), self.batch

    def read_x(self, block: Value, column: Value) -> Value:
        """A column of the inputs or angles."""
        return self.read(self.x, block, column, (self.x_row, self.x_column))

    def read_cotangent(self, block: Value, output: Value) -> Value:
        """The cotangent of an output."""
        return self.read(self.cotangent, block, output, (self.cotangent_row, self.cotangent_column))

    def matrix(self, layer: Value, qubit: Value) -> Array:
        """The matrix of a layer on a qubit."""
        position = self.code.offset((layer, self.qubits), qubit)
        return self.code.at(self.matrices, self.code.times(position, MATRIX))


def state_vectors(qubits: int, precision: Precision) -> int:
    """Vectors that hold one number for each basis state."""
    return max(1, (1 << qubits) // precision.lanes)


ARGUMENTS = Kernel.names()
"""Names of the 64-bit words, in order."""
