"""One batch on its way through the kernels: memory and launches."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.triton import kernels, trained
from quinr_pl.circuit.engines.triton.tables import positions, tables

_AMPLITUDES = 512
# A warp of 32 lanes holds that many, 16 a lane: with cotangents 64 registers, and the kernels stay below 128.
PROGRAMS = 2048
"""Programs of the backward pass, which have sums of their own: 16 warps on each of 132 multiprocessors."""
OPTIONS = {"num_warps": 1, "enable_fp_fusion": True, "maxnreg": 128}
"""What the kernels of coordinates are compiled with: 16 warps fit a multiprocessor."""
PREPARE_OPTIONS = {"num_warps": 1, "enable_fp_fusion": True}
"""What the kernel of coefficients is compiled with."""
FINISH_OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}
"""What the kernel of gradients of weights is compiled with."""


def block_size(ansatz: Ansatz) -> int:
    """Coordinates of a block."""
    return min(32, _AMPLITUDES >> ansatz.qubits)


def power_of_two(count: int) -> int:
    """The least one that is not below a count, and at least 1."""
    return 1 << max(0, count - 1).bit_length()


def prepare_constants(ansatz: Ansatz, gates: int) -> dict[str, int]:
    """What ``prepare`` is compiled for: a program makes the phases of up to 16 basis states."""
    states = min(16, ansatz.states)
    slots = power_of_two(ansatz.qubits)
    return {"QUBITS": ansatz.qubits, "SLOTS": slots, "GATES": power_of_two(gates), "STATES": states}


def finish_constants(ansatz: Ansatz) -> dict[str, int]:
    """What ``finish`` is compiled for: it adds up 4096 numbers at a time."""
    slots = power_of_two(ansatz.qubits)
    return {"QUBITS": ansatz.qubits, "SLOTS": slots, "GATES": 8, "ROWS": 4096 // max(16, ansatz.states)}


class Call:
    """Forward and backward pass of one batch.

    Args:
        ansatz: Ansatz of the circuit.
        measured: Basis states whose probabilities are wanted, each once.
        angles: (batch, features_count).
        weights: Rotations in radians, contiguous.
    """

    def __init__(self, ansatz: Ansatz, measured: tuple[int, ...], angles: Tensor, weights: Tensor) -> None:
        self._ansatz, self._angles, self._weights = ansatz, angles, weights
        self._measured = measured
        self._tables = tables(ansatz, angles.device)
        self._position = positions(ansatz.states, measured, angles.device)
        self._block = block_size(ansatz)
        self._blocks = -(-len(angles) // self._block)
        self._width = 2 * ansatz.states + 17 * ansatz.qubits
        layers = len(self._tables.folds)
        self._coefficients = angles.new_empty(layers, self._width)
        self._after = angles.new_empty(layers, ansatz.qubits, dtype=torch.float64)
        self._waves = angles.new_empty(self._blocks, ansatz.features_count, 2, self._block)
        self._state: Tensor | None = None

    def forward(self, keep: bool) -> Tensor:
        """Probabilities of the measured states, (batch, measured); with ``keep`` the final states stay."""
        angles, ansatz = self._angles, self._ansatz
        self._prepare()
        probabilities = angles.new_empty(len(angles), len(self._measured))
        if keep:
            self._state = angles.new_empty(2, ansatz.states, len(angles))
        kernels.forward[(self._blocks,)](
            angles=angles,
            waves=self._waves,
            state=self._state,
            probabilities=probabilities,
            measured=len(self._measured),
            row_stride=angles.stride(0),
            column_stride=angles.stride(1),
            KEEP=keep,
            **self._circuit(),
        )
        return probabilities

    def backward(self, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in the angles and in the weights, from those in the probabilities, (batch, measured)."""
        ansatz, angles, layers = self._ansatz, self._angles, len(self._tables.folds)
        programs = min(PROGRAMS, self._blocks)
        of_angles = angles.new_empty(angles.shape)
        slopes = angles.new_empty(programs, ansatz.features_count, self._block)
        sums = angles.new_empty(programs, layers, ansatz.states + 5 * ansatz.qubits)
        kernels.backward[(programs,)](
            waves=self._waves,
            state=self._state,
            cotangent=cotangent,
            slopes=slopes,
            sums=sums,
            angles_gradient=of_angles,
            slope_stride=cotangent.stride(0),
            state_stride=cotangent.stride(1),
            **self._circuit(),
        )
        return of_angles, self._finish(sums)

    def _prepare(self) -> None:
        constants = prepare_constants(self._ansatz, self._tables.diagonal.shape[1])
        grid = len(self._tables.folds), self._ansatz.states // constants["STATES"]
        trained.prepare[grid](
            **self._trained(),
            coefficients=self._coefficients,
            width=self._width,
            **constants,
            **PREPARE_OPTIONS,
        )

    def _finish(self, sums: Tensor) -> Tensor:
        of_weights = torch.empty_like(self._weights)
        trained.finish[(len(self._tables.folds),)](
            **self._trained(),
            sums=sums,
            weights_gradient=of_weights,
            layers=len(self._tables.folds),
            programs=len(sums),
            **finish_constants(self._ansatz),
            **FINISH_OPTIONS,
        )
        return of_weights

    def _trained(self) -> dict[str, Tensor | int]:
        """Arguments of the kernels that compute what all coordinates share."""
        known = self._tables
        names = ("constants", "folds", "chains", "diagonal", "generators")
        return {
            **{name: getattr(known, name) for name in names},
            "weights": self._weights,
            "after": self._after,
            "trained": self._weights.numel(),
            "length": known.chains.shape[2],
            "gates": known.diagonal.shape[1],
        }

    def _circuit(self) -> dict[str, Tensor | int]:
        """Arguments of the kernels of coordinates."""
        known = self._tables
        return {
            "coefficients": self._coefficients,
            "folds": known.folds,
            "columns": known.columns,
            "position": self._position,
            "batch": len(self._angles),
            "features": self._ansatz.features_count,
            "layers": len(known.folds),
            "width": self._width,
            "deepest": known.columns.shape[1],
            "FIRST_RX": known.first_rx,
            "QUBITS": self._ansatz.qubits,
            "BLOCK": self._block,
            **OPTIONS,
        }
