"""The drawn circuit."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.lightning import apply_gates, qml


def draw(ansatz: Ansatz) -> Figure:
    """A picture of the circuit, as PennyLane draws it, for the caller to close.

    Args:
        ansatz: The circuit.

    Returns:
        A matplotlib figure that belongs to no window.
    """

    def circuit() -> object:
        apply_gates(ansatz, torch.zeros(ansatz.features_count), torch.zeros(ansatz.weights_shape))
        return qml.probs(wires=range(ansatz.qubits))

    figure, _ = qml.draw_mpl(circuit, style="pennylane", show_all_wires=True)()
    return figure
