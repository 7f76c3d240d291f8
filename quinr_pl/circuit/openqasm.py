"""The circuit as OpenQASM 3 text.

Cross et al. 2022, "OpenQASM 3: A Broader and Deeper Quantum Assembly Language".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.errors import QuinrError


def openqasm(
    ansatz: Ansatz,
    weights: npt.NDArray[np.floating],
    angles: Sequence[float] | None = None,
    comments: Sequence[str] = (),
) -> str:
    """The circuit and the measurement of all its qubits.

    Gates are those of OpenQASM's standard library, which are PennyLane's up to a global phase. Qubit 0 is the
    most significant bit of a basis state.

    Args:
        ansatz: Ansatz of the circuit.
        weights: Trained rotations in radians, of shape ansatz.weights_shape.
        angles: Embedding angles in radians, ansatz.features_count of them; inputs of the program called
            angle_0, angle_1 and so on when left out.
        comments: Lines for the head of the program, in ASCII.

    Raises:
        QuinrError: If amplitudes are embedded, which no gate of the library does.
    """
    if ansatz.amplitudes:
        raise QuinrError(
            f"design {ansatz.design}: OpenQASM has no gate that embeds amplitudes; give a file whose circuit "
            "embeds angles"
        )
    names = [f"angle_{column}" for column in range(ansatz.features_count)]
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', *(f"// {comment}" for comment in comments), ""]
    if angles is None:
        lines += [f"input float[64] {name};" for name in names]
    else:
        names = [_number(angle) for angle in angles]
    lines += [f"qubit[{ansatz.qubits}] q;", f"bit[{ansatz.qubits}] c;", ""]
    for gate in ansatz.gates():
        angle = ""
        if gate.source != "nothing":
            turn = names[gate.index[0]] if gate.source == "angle" else _number(weights[gate.index])
            angle = f"({turn})"
        lines.append(f"{gate.name.lower()}{angle} {', '.join(f'q[{wire}]' for wire in gate.wires)};")
    return "\n".join([*lines, "", "c = measure q;", ""])


def _number(value: float) -> str:
    return repr(float(value))
