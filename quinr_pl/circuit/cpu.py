"""The fused CPU engine: forward and adjoint backward passes of whole batches in compiled code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import config, set_num_threads
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.circuit import cpu_kernels as kernels
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engine import check
from quinr_pl.circuit.stages import Diagonal, Embedding, stages


class CpuEngine:
    """Batched adjoint simulator for the CPU."""

    name = "cpu"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """See :meth:`quinr_pl.circuit.engine.Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        probability: Tensor = _Circuit.apply(ansatz, angles, weights)
        return probability if states is None else probability[:, list(measured)]


@dataclass(frozen=True)
class _Program:
    steps: npt.NDArray[np.int64]
    chains: npt.NDArray[np.int64]
    diagonals: tuple[Diagonal, ...]
    rotations: npt.NDArray[np.int64]


@lru_cache(maxsize=64)
def _program(ansatz: Ansatz) -> _Program:
    steps: list[tuple[int, int, int, int]] = []
    chains: list[tuple[int, int]] = []
    diagonals: list[Diagonal] = []
    rotations: list[int] = []
    for stage in stages(ansatz):
        if isinstance(stage, Embedding):
            for wire, chain in enumerate(stage.chains):
                steps.append((kernels.EMBED, wire, len(chains), len(chains) + len(chain)))
                chains += [(0 if name == "RX" else 1, column) for name, column in chain]
        elif isinstance(stage, Diagonal):
            steps.append((kernels.DIAGONAL, 0, len(diagonals), 0))
            diagonals.append(stage)
        else:
            for wire, weight in zip(stage.wires, stage.weights, strict=True):
                steps.append((kernels.ROTATION, wire, len(rotations), 0))
                rotations.append(int(weight))
    return _Program(np.array(steps), np.array(chains).reshape(-1, 2), tuple(diagonals), np.array(rotations))


def _threads() -> int:
    threads = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS)
    set_num_threads(threads)
    return threads


def _announce() -> None:
    cached = kernels.forward.stats.cache_hits or kernels.forward.signatures
    if not cached and not any(_cache_folder_entries()):
        print("quinr-pl: compiling the CPU engine, once for this machine ...", file=sys.stderr, flush=True)


def _cache_folder_entries() -> list[Any]:
    from pathlib import Path

    folder = Path(kernels.forward._cache.cache_path)
    return list(folder.glob("cpu_kernels.forward-*.nbc")) if folder.is_dir() else []


class _Circuit(torch.autograd.Function):
    """Probabilities of all basis states."""

    @staticmethod
    def forward(ctx: Any, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        program, threads = _program(ansatz), _threads()
        batch = len(angles)
        blocks = -(-batch // kernels.LANES)
        padded = np.zeros((blocks * kernels.LANES, angles.shape[1]), angles.detach().numpy().dtype)
        padded[:batch] = angles.detach().numpy() / 2
        lanes = np.ascontiguousarray(
            padded.reshape(blocks, kernels.LANES, angles.shape[1]).transpose(0, 2, 1)
        )
        half = np.stack([np.cos(lanes), np.sin(lanes)], axis=1)
        flat = weights.detach().numpy().reshape(-1)
        phases = np.stack([flat[d.weights] @ d.generators.astype(flat.dtype) for d in program.diagonals])
        diagonals = np.stack([np.cos(phases), np.sin(phases)])
        rotation = flat[program.rotations] / 2
        rotations = np.stack([np.cos(rotation), np.sin(rotation)])
        final = np.empty((blocks, 2, ansatz.states, kernels.LANES), flat.dtype)
        arguments = (program.steps, program.chains, half, diagonals, rotations)
        _announce()
        kernels.forward(*arguments, final)
        ctx.saved = (ansatz, program, threads, arguments, final, batch)
        probability = (final[:, 0] ** 2 + final[:, 1] ** 2).transpose(0, 2, 1).reshape(-1, ansatz.states)
        return torch.from_numpy(np.ascontiguousarray(probability[:batch]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor, Tensor]:
        ansatz, program, threads, arguments, final, batch = ctx.saved
        blocks, dtype = len(final), final.dtype
        padded = np.zeros((blocks * kernels.LANES, ansatz.states), dtype)
        padded[:batch] = cotangent.numpy()
        bras = final * padded.reshape(blocks, 1, kernels.LANES, ansatz.states).transpose(0, 1, 3, 2)
        angle_grad = np.zeros((blocks, ansatz.features_count, kernels.LANES), dtype)
        diagonal_grad = np.zeros((threads, len(program.diagonals), ansatz.states), dtype)
        rotation_grad = np.zeros((threads, len(program.rotations)), dtype)
        _threads()
        kernels.backward(*arguments, final.copy(), bras, angle_grad, diagonal_grad, rotation_grad)
        weights_grad = np.zeros(ansatz.weights_shape, dtype).reshape(-1)
        for diagonal, turned in zip(program.diagonals, diagonal_grad.sum(0), strict=True):
            weights_grad[diagonal.weights] = diagonal.generators.astype(dtype) @ turned
        weights_grad[program.rotations] = rotation_grad.sum(0)
        angles_grad = angle_grad.transpose(0, 2, 1).reshape(-1, ansatz.features_count)[:batch]
        return (
            None,
            torch.from_numpy(np.ascontiguousarray(angles_grad)),
            torch.from_numpy(weights_grad.reshape(ansatz.weights_shape)),
        )
