"""The plan of an ansatz as the kernels read it, on its device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.lowering.chains import Integers, spans_of_angles, trained_chains
from quinr_pl.circuit.lowering.plan import Plan, plan


@dataclass(frozen=True)
class Tables:
    """The plan of an ansatz on a device; see quinr_pl.circuit.lowering.plan.Plan.

    Integers are int32. The first layer counts as an embedding, though maybe of nothing: it leaves a product
    state.

    Attributes:
        folds: Rotations by angles that each layer has on a qubit; -1 for a layer of trained gates: (layers,).
        columns: Columns of these angles, RX and RZ in turn, (layers, folds, qubits); features_count: none.
        first_rx: Whether each first one is an RX.
        chains: Flat indices of the trained rotations before and after the angles, RZ and RX in turn,
            (layers, 2, length, qubits); -1: none. Layers without angles have all of them before.
        diagonal: As of the plan, (layers, gates).
        generators: Phases for a unit of each weight of a diagonal, (gates, 2**qubits) in float64.
        constants: What follows the weights, in float64.
    """

    folds: Tensor
    columns: Tensor
    first_rx: bool
    chains: Tensor
    diagonal: Tensor
    generators: Tensor
    constants: Tensor


@lru_cache(maxsize=64)
def tables(ansatz: Ansatz, device: torch.device) -> Tables:
    """The tables of an ansatz that :func:`fits`."""
    circuit = plan(ansatz)
    first_rx, columns = _columns(circuit)
    folds = np.where(circuit.embeds, columns.shape[1], -1)
    folds[0] = max(folds[0], 0)

    def on_device(values: npt.NDArray[np.generic]) -> Tensor:
        kind = np.float64 if np.issubdtype(values.dtype, np.floating) else np.int32
        return torch.from_numpy(np.ascontiguousarray(values, dtype=kind)).to(device)

    return Tables(
        on_device(folds),
        on_device(columns),
        first_rx,
        on_device(trained_chains(circuit).transpose(0, 2, 3, 1)),
        on_device(circuit.diagonal),
        on_device(circuit.generators),
        on_device(np.array(circuit.constants, dtype=np.float64)),
    )


@lru_cache(maxsize=64)
def positions(states: int, measured: tuple[int, ...], device: torch.device) -> Tensor:
    """Where the probability of each basis state goes, (states,); -1: nowhere."""
    position = np.full(states, -1, dtype=np.int32)
    position[list(measured)] = range(len(measured))
    return torch.from_numpy(position).to(device)


@lru_cache(maxsize=64)
def fits(ansatz: Ansatz) -> bool:
    """Whether no trained gate lies between the angles of a qubit in a layer."""
    circuit = plan(ansatz)
    chains = (chain[first:stop] for chain, first, stop in spans_of_angles(circuit))
    return not any((middle > ansatz.features_count).any() for middle in chains)


def _columns(circuit: Plan) -> tuple[bool, Integers]:
    """Whether folds begin with RX, and columns of the angles, (layers, folds, qubits)."""
    ends = spans_of_angles(circuit)
    first_rx = all(first % 2 == 1 for _, first, stop in ends if first < stop)
    none = circuit.ansatz.features_count
    found = [
        # Where some begin with RZ, none stands for the RZ of those that begin with RX.
        [none] * (first < stop and first % 2 != first_rx) + chain[first:stop].tolist()
        for chain, first, stop in ends
    ]
    columns = np.full((len(found), max(map(len, found))), none)
    for row, of_chain in zip(columns, found, strict=True):
        row[: len(of_chain)] = of_chain
    return first_rx, columns.reshape(circuit.layers, circuit.ansatz.qubits, -1).transpose(0, 2, 1)
