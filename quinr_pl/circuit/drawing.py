"""The drawn circuit."""

from __future__ import annotations

from dataclasses import replace

import torch
from matplotlib.figure import Figure

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import apply_gates, qml


def draw(ansatz: Ansatz) -> Figure:
    """A picture of one block, as PennyLane draws it, for the caller to close.

    All blocks have the same gates, and many of them beside each other can't be read.

    Args:
        ansatz: Ansatz of the circuit.

    Returns:
        A matplotlib figure that belongs to no window.
    """
    block = replace(ansatz, uploads=1, layers=1)

    def circuit() -> object:
        apply_gates(block, torch.zeros(block.features_count), torch.zeros(block.weights_shape))
        return qml.probs(wires=range(block.qubits))

    figure, _ = qml.draw_mpl(circuit, style="pennylane", show_all_wires=True)()
    return figure
