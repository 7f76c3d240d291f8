"""One batch on its way through the kernels: tables, memory and launches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cuda import code
from quinr_pl.circuit.lowering.chains import trained_chains
from quinr_pl.circuit.lowering.plan import Plan, plan
from quinr_pl.native.cuda_code import Kernel

SHARED_BYTES = 227 << 10
"""Shared memory of a block, at most, on Hopper GPUs."""
_BUSY = 132 * 128
"""Lanes that keep a large GPU busy; smaller batches spread over more lanes."""


@dataclass(frozen=True)
class Shape:
    """What tables and sizes depend on, besides the batch.

    Attributes:
        ansatz: Ansatz of the circuit.
        measured: Basis states whose probabilities are wanted, each once.
        lane_qubits: So many qubits number the lanes of a coordinate.
        dtype: float32 or float64.
        device: Where the tensors lie.
    """

    ansatz: Ansatz
    measured: tuple[int, ...]
    lane_qubits: int
    dtype: torch.dtype
    device: torch.device


def lane_qubits(qubits: int, batch: int, dtype: torch.dtype) -> int:
    """How many qubits number the lanes of a coordinate: more for small batches, which have lanes to spare."""
    # As measured on an H100: a lane of 16 amplitudes of float32 for up to 4 qubits and for 8, else one of 8.
    most = 4 if dtype == torch.float32 else 5
    lanes = 0 if dtype == torch.float32 and qubits <= 4 else min(most, max(0, qubits - 3))
    while lanes < min(qubits - 1, most) and batch << lanes < _BUSY:
        lanes += 1
    return lanes


class Layout:
    """Tables of a shape on its device, and sizes."""

    def __init__(self, shape: Shape) -> None:
        ansatz, circuit = shape.ansatz, plan(shape.ansatz)
        self.shape, self.layers, self.features = shape, circuit.layers, ansatz.features_count
        group = 1 << shape.lane_qubits
        self.coordinates = 32 // group
        slots = -(-ansatz.qubits // group) * group
        self.layer_size = 2 * ansatz.states + 20 * slots
        self.sums_size = ansatz.states + 5 * slots
        chains = trained_chains(circuit)
        self.position = np.full(ansatz.states, -1)
        self.position[list(shape.measured)] = range(len(shape.measured))
        columns = _columns(circuit, slots)
        self._tables = {
            "embeds": self._table(circuit.embeds),
            "columns": self._table(columns),
            "chains": self._table(chains),
            "diagonal": self._table(circuit.diagonal),
            "position": self._table(self.position),
            "generators": torch.from_numpy(circuit.generators).to(shape.device, torch.float64).contiguous(),
        }
        self.words = {
            **{name: table.data_ptr() for name, table in self._tables.items()},
            "features": self.features,
            "layers": self.layers,
            "folds": ansatz.folds,
            "chain": chains.shape[-1],
            "controlled": circuit.diagonal.shape[1],
            "measured": len(shape.measured),
        }
        self._table_words = columns.size + self.layers

    def _table(self, values: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int32)).to(self.shape.device)

    def shared_bytes(self, warps: int, back: bool) -> int:
        """Shared memory of a block; see Block in circuit.cu."""
        odd = (self.features + 1) | 1
        of_warp = self.coordinates * odd * (3 if back else 2) + (self.layers * self.sums_size if back else 0)
        numbers = self.layers * self.layer_size + warps * -(-of_warp // 4) * 4
        return self.shape.dtype.itemsize * numbers + 4 * self._table_words

    def warps(self, batch: int, back: bool) -> int:
        """Warps of a block: few where the batch is small or shared memory short; 0 if one is too many."""
        warps = code.THREADS // 32
        while warps and self.shared_bytes(warps, back) > SHARED_BYTES:
            warps //= 2
        while warps > 1 and batch << self.shape.lane_qubits < 32 * warps * 132:
            warps //= 2
        return warps


@lru_cache(maxsize=64)
def layout(shape: Shape) -> Layout:
    """The layout of a shape."""
    return Layout(shape)


def _columns(circuit: Plan, slots: int) -> npt.NDArray[np.integer]:
    """Columns of the angles, (layers, folds, slots); those of a padding lie past the last."""
    ansatz = circuit.ansatz
    columns = np.full((circuit.layers, ansatz.folds, slots), ansatz.features_count)
    index = ansatz.upload_index
    columns[circuit.embeds.astype(bool), :, : ansatz.qubits] = np.where(
        index < 0, ansatz.features_count, index
    )
    return columns


class Call:
    """Forward and backward pass of one batch.

    Args:
        layout: Tables and sizes.
        angles: (batch, features_count), contiguous.
        weights: Rotations in radians, contiguous.
    """

    def __init__(self, layout: Layout, angles: Tensor, weights: Tensor) -> None:
        self._layout, self._angles, self._weights = layout, angles, weights
        shape = layout.shape
        self._program = code.program(shape.ansatz.qubits, shape.lane_qubits, shape.dtype)
        phases, totals = layout.layers * shape.ansatz.qubits, layout.layers * layout.sums_size
        turns = 8 * phases * layout.words["chain"]
        self._coefficients = angles.new_empty(layout.layers * layout.layer_size)
        self._memory = angles.new_empty(phases + turns + totals + 1, dtype=torch.float64)
        start = self._memory.data_ptr()
        self._arguments = code.Arguments(
            **layout.words,
            angles=angles.data_ptr(),
            weights=weights.data_ptr(),
            coefficients=self._coefficients.data_ptr(),
            phases=start,
            turns=start + 8 * phases,
            totals=start + 8 * (phases + turns),
            ticket=start + 8 * (phases + turns + totals),
            batch=len(angles),
        )

    def forward(self, keep: bool) -> Tensor:
        """Probabilities of the measured states, (batch, measured); with ``keep`` the final states stay."""
        layout, arguments, batch = self._layout, self._arguments, len(self._angles)
        probabilities = self._angles.new_empty(batch, len(layout.shape.measured))
        self._state = self._angles.new_empty(2 * layout.shape.ansatz.states * batch) if keep else None
        arguments.probabilities = probabilities.data_ptr()
        arguments.state = 0 if self._state is None else self._state.data_ptr()
        self._kernel("prepare")(layout.layers, code.PREPARE_THREADS, arguments)
        self._run("forward", back=False)
        return probabilities

    def backward(self, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in the angles and in the weights, from those in the probabilities, (batch, measured)."""
        assert self._state is not None
        layout, arguments = self._layout, self._arguments
        of_angles, of_weights = torch.empty_like(self._angles), torch.empty_like(self._weights)
        width = layout.layers * layout.sums_size
        rows = self._angles.new_empty(self._grid("backward", back=True)[0], width)
        arguments.cotangent = cotangent.data_ptr()
        arguments.of_angles, arguments.of_weights = of_angles.data_ptr(), of_weights.data_ptr()
        arguments.rows, arguments.row_count = rows.data_ptr(), len(rows)
        self._run("backward", back=True)
        blocks = -(-width // code.FINISH_COLUMNS)
        self._kernel("finish")(blocks, code.FINISH_THREADS, arguments)
        return of_angles, of_weights

    def _grid(self, name: str, back: bool) -> tuple[int, int, int]:
        layout, batch = self._layout, len(self._angles)
        warps = layout.warps(batch, back)
        block, shared = 32 * warps, layout.shared_bytes(warps, back)
        needed = -(-batch // (warps * layout.coordinates))
        return min(needed, self._kernel(name).resident_blocks(block, shared)), block, shared

    def _run(self, name: str, back: bool) -> None:
        grid, block, shared = self._grid(name, back)
        self._kernel(name)(grid, block, self._arguments, shared=shared)

    def _kernel(self, name: str) -> Kernel:
        return self._program.kernel(name, self._layout.shape.device)
