"""Networks of the second decoder as docs/format.md has them: circuits, sines and grids in NumPy."""

from __future__ import annotations

from typing import Any

import independent_latents as on_grids
import numpy as np

ROTATIONS = {"quinr": 4, "qiren": 3, "qvf": 1}
"""Of each qubit in an entangling layer."""


def wire_pairs(kind: str, n: int, layer: int = 0) -> list[tuple[int, int]]:
    if kind == "none" or n == 1:
        return []
    if kind == "strong":
        return [(a, (a + 1 + layer % (n - 1)) % n) for a in range(n)]
    if kind == "ring":
        return [(a, (a + 1) % n) for a in range(n if n > 2 else n - 1)]
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    return pairs if kind == "ordered" else [(a, b) for a, b in pairs if a < b]


def apply(state: np.ndarray, qubit: int, matrix: np.ndarray) -> np.ndarray:
    """A 2x2 matrix, or one for each row, on a qubit of states of shape (batch, 2, ..., 2)."""
    moved = np.moveaxis(state, qubit + 1, -1)
    product = np.einsum("...ij,b...j->b...i" if matrix.ndim == 2 else "bij,b...j->b...i", matrix, moved)
    return np.moveaxis(product, -1, qubit + 1)


def rx(angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle / 2), -1j * np.sin(angle / 2)
    return np.stack([np.stack([c + 0j, s], -1), np.stack([s, c + 0j], -1)], -2)


def ry(angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle / 2) + 0j, np.sin(angle / 2) + 0j
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def rz(angle: np.ndarray) -> np.ndarray:
    phase = np.exp(-0.5j * np.asarray(angle))
    zero = np.zeros_like(phase)
    return np.stack([np.stack([phase, zero], -1), np.stack([zero, phase.conj()], -1)], -2)


def crz(state: np.ndarray, control: int, target: int, angle: float) -> np.ndarray:
    bits = np.indices(state.shape[1:])
    phase = np.exp(-0.5j * angle * bits[control] * (1 - 2 * bits[target]))
    return state * phase


def cz(state: np.ndarray, control: int, target: int) -> np.ndarray:
    bits = np.indices(state.shape[1:])
    return state * (1 - 2 * bits[control] * bits[target])


def upload_columns(network: dict[str, Any]) -> list[list[int]]:
    m, uploads = network["angles"], network["uploads"]
    if network["features"] == "own":
        return [list(range(u * m, u * m + m)) for u in range(uploads)]
    columns, x = [list(range(m))], network["shuffle_seed"]
    for _ in range(1, uploads):
        order = list(range(m))
        for i in range(m - 1 if network["shuffle"] else 0, 0, -1):
            x = (1664525 * x + 1013904223) % 2**32
            j = (x >> 16) * (i + 1) >> 16
            order[i], order[j] = order[j], order[i]
        columns.append(order)
    return columns


def probabilities(network: dict[str, Any], angles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n, design = network["qubits"], network.get("design", "quinr")
    uploads = upload_columns(network)
    if design == "qvf":
        state = angles.reshape(len(angles), *[2] * n).astype(complex)
    else:
        state = np.zeros((len(angles), *[2] * n), dtype=complex)
        state[(slice(None), *[0] * n)] = 1
    for block, of_block in enumerate(weights):
        upload = block - (design == "qiren")
        if upload >= 0 and design != "qvf":
            for j, column in enumerate(uploads[upload]):
                gate = rz if design == "qiren" or j // n % 2 else rx
                state = apply(state, j % n, gate(angles[:, column]))
        for number, layer in enumerate(of_block):
            pairs, w = wire_pairs(network["pairs"], n, number), iter(layer)
            for gate in {"quinr": (rz, rx), "qiren": (rz, ry, rz), "qvf": (ry,)}[design]:
                for qubit in range(n):
                    state = apply(state, qubit, gate(next(w)))
            for pair in pairs:
                state = crz(state, *pair, next(w)) if design == "quinr" else cz(state, *pair)
            for gate in (rz, rx) if design == "quinr" else ():
                for qubit in range(n):
                    state = apply(state, qubit, gate(next(w)))
    return (np.abs(state) ** 2).reshape(len(angles), 2**n)


def expectations(p: np.ndarray, n: int) -> np.ndarray:
    """Of Pauli Z, from probabilities: (batch, n)."""
    shaped = p.reshape(len(p), *[2] * n)
    others = [tuple(axis for axis in range(1, n + 1) if axis != qubit + 1) for qubit in range(n)]
    return np.stack([shaped.sum(axes) @ [1, -1] for axes in others], 1)


def embed(z: np.ndarray, weight: np.ndarray, bias: np.ndarray, omega0: float) -> np.ndarray:
    return np.sin(omega0 * (z @ weight.T + bias))


def embedded(network: dict[str, Any], z: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What the circuit of a stage embeds: angles or amplitudes."""
    if network["design"] == "quinr":
        return network["angle_scale"] * embed(z, weight, bias, network["omega0"])
    h = network["angle_scale"] * network["omega0"] * (z @ weight.T + bias)
    if network["design"] == "qiren":
        return h
    share = np.exp(h - h.max(1, keepdims=True))
    return np.sqrt(share / share.sum(1, keepdims=True))


def evaluate_quinr(network: dict[str, Any], tensors: list[np.ndarray], z: np.ndarray) -> np.ndarray:
    for layer in range(network["sine_layers"]):
        z = embed(z, *tensors[2 * layer : 2 * layer + 2], network["omega0"])
    tensors = tensors[2 * network["sine_layers"] :]
    stages = network["stages"]
    scaled = network["stage_norm"] == "scaled" and stages > 1
    gains = [*tensors[3 * stages], 1.0] if scaled else [1.0] * stages
    readout = tensors[3 * stages + scaled :]
    for stage in range(stages):
        angles = embedded(network, z, *tensors[2 * stage : 2 * stage + 2])
        m = probabilities(network, angles, tensors[2 * stages + stage])
        centred = m * m.shape[1] - 1
        if network["design"] != "quinr":
            m = centred = expectations(m, network["qubits"])
        z = {
            "none": m,
            "centred": centred,
            "standardized": (m - m.mean(1, keepdims=True)) / np.sqrt(m.var(1, keepdims=True) + 1e-5),
            "scaled": gains[stage] * centred,
        }[network["stage_norm"]]
    if network["readout"] == "linear":
        return centred @ readout[0].T + readout[1]
    x = m[:, m.shape[1] - network["channels"] :]
    if network["range_map"]:
        x = x * readout[0] + readout[1]
    return np.where(x > 0, x, -1.99 * x)


def evaluate_coin(network: dict[str, Any], tensors: list[np.ndarray], z: np.ndarray) -> np.ndarray:
    for layer in range(network["layers"]):
        z = embed(z, *tensors[2 * layer : 2 * layer + 2], network["omega0"])
    return z @ tensors[-2].T + tensors[-1]


def evaluate_latent_quinr(
    network: dict[str, Any], tensors: list[np.ndarray], grids: list[np.ndarray], height: int, width: int
) -> np.ndarray:
    z = on_grids.interpolate(network, grids, tensors[0], height, width)
    if network["synthesis"] == "circuit":
        weight, bias, rotations, *readout = tensors[1:6]
        angles = network["angle_scale"] * embed(z, weight, bias, 1.0)
        p = probabilities({**network, "features": "own"}, angles, rotations)
        inner, rest = p * p.shape[1] - 1, tensors[6:]
    else:
        weight, bias, *readout = tensors[1:5]
        inner, rest = np.maximum(0, z @ weight.T + bias), tensors[5:]
    t = inner @ readout[0].T + readout[1] + z @ rest[0].T
    filters = rest[1 : 1 + 2 * network["filters"]]
    return on_grids.filtered(t.reshape(height, width, -1), filters).reshape(height * width, -1)
