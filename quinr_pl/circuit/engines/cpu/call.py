"""One batch on its way through the kernels of the CPU engine: memory, threads, gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Generic

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.arguments import ARGUMENTS, MATRIX, SMALL, state_vectors
from quinr_pl.circuit.engines.cpu.compile import Kernels, kernels
from quinr_pl.circuit.lowering.plan import Plan, plan
from quinr_pl.native.memory import (
    AnyArray,
    Bytes,
    address,
    contiguous,
    empty,
    lent,
    scratch,
    split,
    strides,
    summed,
)
from quinr_pl.native.pieces import Function
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.threads import Deal, chunks_of, in_parallel

_CHUNKS = 64
_CHUNK_COORDINATES = 256
_THREAD_SIZE = 2_000_000
"""Gates times amplitudes, about 1 ms of a forward pass. Waking a thread takes 0.1 to 0.4 ms."""
_AT = {name: position for position, name in enumerate(ARGUMENTS)}
_BLOCKS = slice(_AT["first_block"], _AT["last_block"] + 1)
_MEMORY = slice(_AT["phases"], _AT["totals"])
_OWN = np.array([_AT["state"], *range(_MEMORY.start, _MEMORY.stop)], np.int64)
"""Words that differ from thread to thread."""
_REDUCED = ("column_sum", "embedding_sum", "bias_sum", "readout_sum", "skip_sum", "offset_sum")


@dataclass(frozen=True)
class Shape:
    """What the kernels' memory depends on, besides the batch.

    Attributes:
        ansatz: Ansatz of the circuit.
        precision: The number format.
        inputs: Width of x.
        embedded: Whether x feeds an embedding; else x are the angles.
        outputs: Rows of the read-out, or 0 for all probabilities.
        frequency: omega0 of the embedding.
        scale: Amplitude of its angles.
        consecutive: Whether coordinates lie side by side in memory.
        skip: Whether x goes past the circuit, too.
        offset: Whether something is added to the outputs.
    """

    ansatz: Ansatz
    precision: Precision
    inputs: int
    embedded: bool
    outputs: int
    frequency: float
    scale: float
    consecutive: bool
    skip: bool
    offset: bool


class Layout:
    """Arguments that every batch of a shape shares.

    Attributes:
        kernels: Compiled forward and backward pass.
        words: Arguments of the kernels, filled as far as they are known.
        offsets: Where each part of a thread's memory begins, in bytes.
        size: Bytes of a thread's memory.
        sums: Numbers of each of the reduced sums, one after the other.
        reduced: Their total.
        work: Gates times amplitudes of a coordinate's forward pass.
    """

    def __init__(self, shape: Shape) -> None:
        circuit, precision = plan(shape.ansatz), shape.precision
        self._plan = circuit  # the words below are addresses of its arrays
        ansatz = shape.ansatz
        self.kernels: Kernels = kernels(ansatz.qubits, shape.consecutive, precision, ansatz.amplitudes)
        self._generators = _lanes(circuit, precision)
        self._scales = np.array([shape.scale / 2, shape.scale * shape.frequency, shape.frequency])
        self._scales = self._scales.astype(precision.dtype)
        sizes = _sizes(shape, circuit)
        ends = list(accumulate(sizes.values()))
        self.offsets = VECTOR_BYTES * np.array([0, *ends[:-1]])
        self.size = VECTOR_BYTES * ends[-1]
        self.reduced = sum(sizes[name] for name in _REDUCED)
        self.sums = [sizes[name] for name in _REDUCED]
        self.work = circuit.layers * ansatz.qubits * ansatz.states
        words = {
            "inputs": shape.inputs,
            "angles": shape.ansatz.features_count,
            "weights": circuit.weights,
            "outputs": shape.outputs,
            "skipped": shape.outputs if shape.skip else 0,
            "offsets": shape.outputs if shape.offset else 0,
            "layers": circuit.layers,
            "width": circuit.columns.shape[2],
            "sine": int(shape.embedded),
            "small": int(abs(shape.scale / 2) <= SMALL),
            "controlled": circuit.diagonal.shape[1],
            "sums": sizes["phase_sum"] + sizes["bloch_sum"] + self.reduced,
            "reduced": self.reduced,
            "embeds": circuit.embeds.ctypes.data,
            "pairs": circuit.pairs.ctypes.data,
            "columns": circuit.columns.ctypes.data,
            "diagonal_weights": circuit.diagonal.ctypes.data,
            "generators": self._generators.ctypes.data,
            "scales": self._scales.ctypes.data,
        }
        self.words = np.array([words.get(name, 0) for name in ARGUMENTS], dtype=np.int64)


@lru_cache(maxsize=64)
def layout(shape: Shape) -> Layout:
    """The layout of a shape."""
    return Layout(shape)


def _lanes(circuit: Plan, precision: Precision) -> npt.NDArray[np.floating]:
    """Generators with whole vectors of basis states."""
    gates, states = circuit.generators.shape
    width = state_vectors(circuit.ansatz.qubits, precision) * precision.lanes
    padded = np.zeros((gates, width), precision.dtype)
    padded[:, :states] = circuit.generators
    return padded


def _sizes(shape: Shape, circuit: Plan) -> dict[str, int]:
    """Vectors of one thread's memory, in the order of the arguments."""
    ansatz, columns = shape.ansatz, shape.ansatz.features_count + 1 + circuit.weights
    return {
        "phases": 2 * circuit.layers * state_vectors(ansatz.qubits, shape.precision),
        "trigonometry": 2 * columns,
        "slopes": ansatz.features_count,
        "matrices": MATRIX * circuit.layers * ansatz.qubits,
        "table": 2 * ansatz.states,
        "diagonal": ansatz.states,
        "amplitudes": 4 * ansatz.states,
        "bloch": 3 * ansatz.qubits,
        "outputs_block": shape.outputs,
        "inputs_block": shape.inputs,
        "phase_sum": circuit.layers * ansatz.states,
        "bloch_sum": 3 * circuit.layers * ansatz.qubits,
        "column_sum": columns,
        "embedding_sum": ansatz.features_count * shape.inputs if shape.embedded else 0,
        "bias_sum": ansatz.features_count if shape.embedded else 0,
        "readout_sum": shape.outputs * ansatz.states,
        "skip_sum": shape.outputs * shape.inputs if shape.skip else 0,
        "offset_sum": shape.outputs if shape.offset else 0,
    }


class Call(Generic[AnyArray]):
    """Forward and backward pass of one batch.

    Sums over coordinates are taken chunk by chunk: results do not depend on the number of threads.

    Args:
        ansatz: Ansatz of the circuit.
        frequency: omega0 of the embedding.
        scale: Amplitude of the angles, in radians.
        x: Angles or amplitudes (batch, features_count), or the inputs (batch, in_features) of an embedding
            by sines.
        embedding: Matrix of the embedding, (features_count, in_features); None if x are no inputs.
        bias: Its bias, (features_count,).
        weights: Rotations in radians, of shape ``ansatz.weights_shape``.
        readout: (out_features, 2**qubits), or None for all probabilities.
        skip: (out_features, in_features), what x gives to the read-out past the circuit, or None.
        offset: (out_features,), what is added to the read-out, or None.
    """

    def __init__(
        self,
        ansatz: Ansatz,
        frequency: float,
        scale: float,
        x: AnyArray,
        embedding: AnyArray | None,
        bias: AnyArray | None,
        weights: AnyArray,
        readout: AnyArray | None,
        skip: AnyArray | None = None,
        offset: AnyArray | None = None,
    ) -> None:
        self.ansatz, self.batch = ansatz, len(x)
        self.precision = Precision.of(x)
        self.blocks = -(-self.batch // self.precision.lanes)
        outputs = 0 if readout is None else len(readout)
        row, column = strides(x)
        self._consecutive = row == 1 and column >= len(x) > 1
        of_circuit = (ansatz, self.precision, x.shape[1], embedding is not None, outputs, frequency, scale)
        past_circuit = (skip is not None, offset is not None)
        self.layout = layout(Shape(*of_circuit, self._consecutive, *past_circuit))
        self.x: AnyArray = x
        self.embedding: AnyArray | None = embedding
        self.readout: AnyArray | None = readout
        self._past_circuit: tuple[AnyArray | None, AnyArray | None] = skip, offset
        self.state: Bytes | None = None
        given = {"embedding": embedding, "bias": bias, "readout": readout, "skip": skip, "offset": offset}
        given["weight"] = plan(ansatz).with_constants(weights)
        # Held here, as the kernels know addresses only.
        self._arrays: dict[str, AnyArray] = {
            name: contiguous(array) for name, array in given.items() if array is not None
        }
        self.words = self.layout.words.copy()
        addresses = {name: address(array) for name, array in self._arrays.items()}
        self._set(self.words, {"batch": self.batch, **_place("x", x), **addresses})

    def _set(self, words: npt.NDArray[np.int64], values: dict[str, int]) -> None:
        for name, value in values.items():
            words[_AT[name]] = value

    def forward(self, keep: bool) -> AnyArray:
        """Read-out, (batch, outputs); with ``keep`` the final states stay for the backward pass."""
        states = self.ansatz.states
        y = self._empty(states if self.readout is None else len(self.readout))
        if keep:
            self.state = lent(self.blocks * states * 2 * VECTOR_BYTES, self)
            self._set(self.words, {"state": address(self.state), "state_stride": 2 * states})
        words = self.words.copy()
        self._set(words, _place("y", y))
        self._run(self.layout.kernels.forward, words, passes=1)
        return y

    def backward(self, cotangent: AnyArray, inputs: bool) -> dict[str, AnyArray | None]:
        """Gradients by name; that in x only with ``inputs``."""
        assert self.state is not None
        x_gradient = self._empty(self.x.shape[1]) if inputs else None
        if self._consecutive:
            cotangent = contiguous(cotangent.T).T
        words = self.words.copy()
        of_x = {} if x_gradient is None else _place("x_gradient", x_gradient)
        self._set(words, {"input_gradient": int(inputs), **_place("cotangent", cotangent), **of_x})
        totals = summed(self._run(self.layout.kernels.backward, words, passes=2))
        sums = dict(zip(_REDUCED, split(totals, self.layout.sums), strict=True))
        first = self.ansatz.features_count + 1
        weights = sums["column_sum"][first : first + plan(self.ansatz).trained]
        embedded, readout = self.embedding is not None, self.readout is not None
        skip, offset = (given is not None for given in self._past_circuit)
        return {
            "x": x_gradient,
            "embedding": sums["embedding_sum"].reshape(-1, self.x.shape[1]) if embedded else None,
            "bias": sums["bias_sum"] if embedded else None,
            "weights": weights.reshape(self.ansatz.weights_shape),
            "readout": sums["readout_sum"].reshape(-1, self.ansatz.states) if readout else None,
            "skip": sums["skip_sum"].reshape(-1, self.x.shape[1]) if skip else None,
            "offset": sums["offset_sum"] if offset else None,
        }

    def _empty(self, width: int) -> AnyArray:
        """An array (batch, width), uninitialized, in the layout of x."""
        return empty(self.x, width, self.batch).T if self._consecutive else empty(self.x, self.batch, width)

    def _run(self, kernel: Function, shared: npt.NDArray[np.int64], passes: int) -> AnyArray:
        """Run a kernel that takes as long as so many forward passes over all blocks.

        Returns the sums of each chunk, which only backward kernels fill.
        """
        arrangement = self.layout
        chunks, order = _chunks(self.blocks, self.precision)
        totals = empty(self.x, len(chunks), arrangement.reduced)
        words = np.empty((len(chunks), len(shared)), np.int64)
        words[:] = shared
        words[:, _BLOCKS] = chunks
        words[:, _AT["totals"]] = address(totals) + totals.itemsize * arrangement.reduced * order

        def work(deal: Deal) -> None:
            memory = scratch(arrangement.size)
            own = shared.copy()
            own[_MEMORY] = address(memory) + arrangement.offsets
            if not own[_AT["state"]]:
                own[_AT["state"]] = own[_AT["amplitudes"]]
            arrangement.kernels.prepare(address(own))
            kernel.take(deal, words, _OWN, own[_OWN])

        in_parallel(work, len(chunks), 1 + passes * self.batch * arrangement.work // _THREAD_SIZE)
        return totals


@lru_cache(maxsize=64)
def _chunks(blocks: int, precision: Precision) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bounds of the chunks of so many blocks, (chunks, 2), and their numbers, (chunks,)."""
    chunks = chunks_of(blocks, _CHUNK_COORDINATES // precision.lanes, _CHUNKS)
    return np.reshape(np.array(chunks, np.int64), (-1, 2)), np.arange(len(chunks))


def _place(name: str, array: AnyArray) -> dict[str, int]:
    """The words of an array of two axes."""
    row, column = strides(array)
    return {name: address(array), f"{name}_row": row, f"{name}_column": column}
