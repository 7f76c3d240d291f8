"""The rotations of a qubit in a layer, apart: trained ones before its angles, and after them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.lowering.plan import Plan

Integers = npt.NDArray[np.int64]


def spans_of_angles(circuit: Plan) -> list[tuple[Integers, int, int]]:
    """Columns of each chain, layer by layer, and the positions of its first angle and behind its last one.

    Where a layer embeds nothing, both lie behind the chain; see :class:`quinr_pl.circuit.lowering.plan.Plan`.
    """
    found = []
    for layer, embeds in zip(circuit.columns, circuit.embeds, strict=True):
        for chain in layer:
            angles = np.flatnonzero(chain < circuit.ansatz.features_count)
            first, stop = (int(angles[0]), int(angles[-1]) + 1) if len(angles) else (0, 0)
            if not embeds:
                first = stop = len(chain)
            found.append((chain, first, stop))
    return found


def trained_chains(circuit: Plan) -> Integers:
    """Flat indices of the trained rotations before and after the angles of each qubit, RZ and RX in turn.

    Returns:
        (layers, qubits, 2, rotations), as many rotations of both kinds; -1 stands for none.
    """
    none = circuit.ansatz.features_count
    found: list[list[int]] = []
    for chain, first, stop in spans_of_angles(circuit):
        weights = np.where(chain > none, chain - none - 1, -1).tolist()
        # An odd number of rotations before: the next starts with RX, and none stands for its RZ.
        found += [weights[:first], [-1] * (stop % 2) + weights[stop:]]
    for weights in found:
        while weights and weights[-1] < 0:
            weights.pop()
    length = max(map(len, found))
    table = np.full((len(found), length + length % 2), -1)
    for row, weights in zip(table, found, strict=True):
        row[: len(weights)] = weights
    return table.reshape(circuit.layers, circuit.ansatz.qubits, 2, -1)
