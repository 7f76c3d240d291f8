"""What a circuit can draw, told from its ansatz: spectra, expressibility, entanglement and gradients.

Angles and rotations are drawn uniformly from a full turn. All is computed in double precision from exact
states, so that the only spread is that of the draws.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.lowering.in_torch import final_state, probabilities_in_torch

Floats = npt.NDArray[np.float64]
BINS = 75
"""Of the histogram of fidelities, as Sim et al. take them."""
_CHUNK = 256


def uploads_of_angles(ansatz: Ansatz) -> list[int]:
    """How many gates each angle turns: the highest frequency that any output can have in it."""
    turned = Counter(gate.index[0] for gate in ansatz.gates() if gate.source == "angle")
    return [turned[column] for column in range(ansatz.features_count)]


def spectrum_of_angle(ansatz: Ansatz, draws: int, seed: int) -> Floats:
    """Power of the frequencies of the probabilities in one angle, the others being held.

    An output is a trigonometric polynomial in an angle (Schuld, Sweke & Meyer, "Effect of data encoding on
    the expressive power of variational quantum-machine-learning models", 2021), so that a Fourier transform
    over more angles than twice its degree is exact.

    Args:
        ansatz: The circuit.
        draws: Draws of rotations and of the other angles.
        seed: Of the draws.

    Returns:
        Shares of the power at the frequencies 0, 1, 2 and so on, the constant left out of their sum: the mean
        over draws, angles and basis states. One frequency more than can occur.
    """
    degree = max(uploads_of_angles(ansatz)) + 1
    columns = torch.eye(ansatz.features_count, dtype=torch.float64)
    return _spectrum(ansatz, columns, degree, draws, seed)


def spectrum_along_coordinate(ansatz: Ansatz, draws: int, seed: int) -> Floats:
    """Power of the frequencies of the probabilities in a coordinate that all angles grow with alike.

    Angles are the coordinate plus random phases. See `spectrum_of_angle`.
    """
    degree = sum(uploads_of_angles(ansatz)) + 1
    return _spectrum(ansatz, torch.ones(1, ansatz.features_count, dtype=torch.float64), degree, draws, seed)


def _spectrum(ansatz: Ansatz, directions: Tensor, degree: int, draws: int, seed: int) -> Floats:
    generator = torch.Generator().manual_seed(seed)
    turn = torch.arange(2 * degree + 1, dtype=torch.float64) * (2 * math.pi / (2 * degree + 1))
    power = torch.zeros(degree + 1, dtype=torch.float64)
    for _ in range(draws):
        held, weights = _drawn(ansatz, len(directions), generator)
        angles = held[:, None, :] + turn[:, None] * directions[:, None, :]  # (directions, turn, features)
        values = probabilities_in_torch(ansatz, angles.flatten(0, 1), weights[0])
        coefficients = torch.fft.rfft(values.unflatten(0, angles.shape[:2]), dim=1, norm="forward")
        power += coefficients.abs().square().sum((0, 2))
    shares: Floats = (power / power[1:].sum()).numpy()
    return shares


def bandwidth(shares: Floats, part: float = 0.99) -> int:
    """The lowest frequency up to which a part of the power lies, the constant left out."""
    return int(np.searchsorted(np.cumsum(shares[1:]), part) + 1)


def highest_frequency(shares: Floats) -> int:
    """The highest frequency whose power is more than rounding."""
    return int(np.flatnonzero(shares > 1e-20).max())


def random_states(ansatz: Ansatz, count: int, seed: int) -> Tensor:
    """States of independent draws of all angles and rotations, (count, 2**qubits)."""
    angles, weights = _drawn(ansatz, count, torch.Generator().manual_seed(seed))
    batched = torch.vmap(lambda a, w: final_state(ansatz, a[None], w)[0], chunk_size=_CHUNK)
    states: Tensor = batched(angles, weights)
    return states


def expressibility(states: Tensor) -> float:
    """Kullback-Leibler divergence of the fidelities of pairs of states from those of Haar-random ones.

    The less, the more expressible: Sim, Johnson & Aspuru-Guzik, "Expressibility and entangling capability of
    parameterized quantum circuits for hybrid quantum-classical algorithms" (2019).

    Args:
        states: (2 * pairs, 2**qubits), independent.

    Returns:
        Nats. Even Haar-random states have about ``BINS / (2 * pairs)``.
    """
    first, second = states.chunk(2)
    fidelities = (first.conj() * second).sum(1).abs().square().clamp(0, 1).numpy()
    counts, edges = np.histogram(fidelities, BINS, (0.0, 1.0))
    haar = -np.diff((1 - edges) ** (states.shape[1] - 1))
    found = counts / counts.sum()
    seen = counts > 0
    return float((found[seen] * np.log(found[seen] / haar[seen])).sum())


def entanglement(states: Tensor) -> float:
    """Mean of Meyer and Wallach's Q over states, from 0 for product states to 1.

    Q = 2 - 2 / n times the sum of the purities of single qubits (Brennen 2003).

    Args:
        states: (count, 2**qubits).
    """
    qubits = int(math.log2(states.shape[1]))
    purity = torch.zeros(len(states), dtype=torch.float64)
    for wire in range(qubits):
        apart = states.reshape(len(states), 2**wire, 2, -1).transpose(1, 2).flatten(2)  # (count, 2, rest)
        reduced = apart @ apart.mH
        purity += reduced.abs().square().sum((1, 2))
    return float((2 - 2 * purity / qubits).mean())


def gradient_variances(ansatz: Ansatz, draws: int, seed: int) -> dict[str, float]:
    """Variance of the gradient in a rotation, the mean over all rotations, of two observables.

    Args:
        ansatz: The circuit.
        draws: Draws of all angles and rotations.
        seed: Of the draws.

    Returns:
        ``state``: of the probability of the last basis state; ``qubit``: of the expectation of Z on the first
        qubit (McClean et al., "Barren plateaus in quantum neural network training landscapes", 2018).
    """
    angles, weights = _drawn(ansatz, draws, torch.Generator().manual_seed(seed))
    sign = torch.ones(ansatz.states, dtype=torch.float64)
    sign[ansatz.states // 2 :] = -1
    observables: dict[str, Callable[[Tensor], Tensor]] = {
        "state": lambda p: p[-1],
        "qubit": lambda p: p @ sign,
    }
    found = {}
    for name, observed in observables.items():

        def value(w: Tensor, a: Tensor, observed: Callable[[Tensor], Tensor] = observed) -> Tensor:
            return observed(probabilities_in_torch(ansatz, a[None], w)[0])

        gradients = torch.vmap(torch.func.grad(value), chunk_size=_CHUNK // 8)(weights, angles)
        found[name] = float(gradients.var(0).mean())
    return found


def _drawn(ansatz: Ansatz, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Angles and rotations: (count, features_count) and (count, *weights_shape)."""

    def turns(*shape: int) -> Tensor:
        return 2 * math.pi * torch.rand(*shape, generator=generator, dtype=torch.float64)

    return turns(count, ansatz.features_count), turns(count, *ansatz.weights_shape)
