"""The fused CPU engine: embedding, circuit and read-out of a batch in compiled code, forward and adjoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.cpu_compile import kernels
from quinr_pl.circuit.cpu_kernels import ARGUMENTS, COEFFICIENTS
from quinr_pl.circuit.cpu_plan import Plan, Tables, gradient, plan, tables
from quinr_pl.circuit.cpu_vectors import Precision
from quinr_pl.circuit.engine import check
from quinr_pl.errors import QuinrError

_CHUNKS = 64
_CHUNK_COORDINATES = 256


class CpuEngine:
    """Batched adjoint simulator for the CPU.

    Threads follow ``torch.get_num_threads()``. A coordinate's result depends neither on its batch nor on the
    threads; gradients in weights depend on the batch, not on the threads.
    """

    name = "cpu"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """See :meth:`quinr_pl.circuit.engine.Engine.probabilities`."""
        check(ansatz, angles, weights, states)
        readout = None
        if states is not None:
            readout = torch.zeros(len(states), ansatz.states, dtype=angles.dtype)
            readout[range(len(states)), list(states)] = 1
        return _run(ansatz, angles, None, weights, readout, 1.0)

    def sine_layer(
        self,
        ansatz: Ansatz,
        inputs: Tensor,
        embedding_weight: Tensor,
        embedding_bias: Tensor,
        weights: Tensor,
        readout: Tensor | None = None,
        *,
        omega0: float = 30.0,
        angle_scale: float = 1.0,
    ) -> Tensor:
        """Embedding, circuit and read-out in one pass: ``readout @ probabilities(angle_scale * h)``.

        With ``h = sin(omega0 * (inputs @ embedding_weight.T + embedding_bias))``; differentiable in every
        tensor.

        Args:
            ansatz: The circuit.
            inputs: (batch, in_features).
            embedding_weight: (ansatz.features_count, in_features).
            embedding_bias: (ansatz.features_count,).
            weights: ansatz.weights_shape.
            readout: (out_features, 2**qubits), or None for all probabilities.
            omega0: Frequency of the sine.
            angle_scale: Amplitude of the angles in radians.

        Returns:
            (batch, out_features), or (batch, 2**qubits) without a readout.

        Raises:
            QuinrError: If a shape or dtype does not fit.
        """
        expected = (ansatz.features_count, inputs.shape[-1])
        if inputs.ndim != 2 or tuple(embedding_weight.shape) != expected:
            raise QuinrError(
                f"inputs of shape {tuple(inputs.shape)} with embedding weight of shape "
                f"{tuple(embedding_weight.shape)}: needs (batch, in) and ({ansatz.features_count}, in)"
            )
        check(ansatz, inputs.new_empty(0, ansatz.features_count), weights)
        if readout is not None and (readout.ndim != 2 or readout.shape[1] != ansatz.states):
            raise QuinrError(f"readout of shape {tuple(readout.shape)}: needs (out, {ansatz.states})")
        embedding = omega0 * torch.cat([embedding_weight, embedding_bias[:, None]], dim=1)
        return _run(ansatz, inputs, embedding, weights, readout, angle_scale)


def _run(
    ansatz: Ansatz, x: Tensor, embedding: Tensor | None, weights: Tensor, readout: Tensor | None, scale: float
) -> Tensor:
    tensors = (x, embedding, weights, readout)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    result: Tensor = _Circuit.apply(plan(ansatz), keep, scale, *tensors)
    return result


class _Circuit(torch.autograd.Function):
    """Read-out of the circuit; saves the final states if the backward pass will want them."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        keep: bool,
        scale: float,
        x: Tensor,
        embedding: Tensor | None,
        weights: Tensor,
        readout: Tensor | None,
    ) -> Tensor:
        call = _Call(plan, scale, x, embedding, weights, readout)
        call.forward(keep)
        if keep:
            ctx.call = call
        return call.y[:, : len(x)].t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, embedding, weights, readout = ctx.call.backward(cotangent, ctx.needs_input_grad)
        return None, None, None, x, embedding, weights, readout


def _lanes_last(values: Tensor, stride: int) -> Tensor:
    """(batch, k) as contiguous (k, stride), the batch padded with zeros."""
    padded = values.new_zeros(values.shape[1], stride)
    padded[:, : len(values)] = values.detach().t()
    return padded


class _Call:
    """One batch on its way through the kernels."""

    def __init__(
        self,
        plan: Plan,
        scale: float,
        x: Tensor,
        embedding: Tensor | None,
        weights: Tensor,
        readout: Tensor | None,
    ) -> None:
        self.plan, self.scale, self.batch = plan, scale, len(x)
        self.precision = Precision(str(x.dtype).removeprefix("torch."))
        self.blocks = -(-self.batch // self.precision.lanes)
        self.stride = self.blocks * self.precision.lanes
        self.x = _lanes_last(x, self.stride)
        self.embedding = None if embedding is None else embedding.detach().contiguous()
        self.readout = None if readout is None else readout.detach().contiguous()
        self.weights_shape = weights.shape
        self.tables: Tables = tables(plan, weights.detach().double().numpy().ravel())
        self.outputs = plan.ansatz.states if readout is None else len(readout)
        self.y = self.x.new_empty(self.outputs, self.stride)
        self.state = self.x.new_empty(0)

    @cached_property
    def _shared(self) -> dict[str, int | npt.NDArray | Tensor]:
        """Arguments that all threads share."""
        plan, table, dtype = self.plan, self.tables, self.precision.dtype
        numbers = {
            name: np.ascontiguousarray(getattr(table, name), dtype)
            for name in ("before", "after", "rotation_after", "phases")
        }
        return {
            "stride": self.blocks,
            "inputs": len(self.x),
            "columns": plan.ansatz.features_count,
            "outputs": 0 if self.readout is None else len(self.readout),
            "layers": plan.layers,
            "fold_pairs": plan.column_of.shape[2] // 2,
            "sine": int(self.embedding is not None),
            "upload_of": plan.upload_of,
            "column_of": plan.column_of,
            **numbers,
            "x": self.x,
            "embedding": self.x if self.embedding is None else self.embedding,
            "readout": self.x if self.readout is None else self.readout,
            "scales": np.array([self.scale / 2, self.scale], dtype),
            "y": self.y,
            "state": self.state,
        }

    def _scratch(self) -> dict[str, npt.NDArray | Tensor]:
        """Memory of one thread."""
        plan, lanes = self.plan, self.precision.lanes
        ansatz = plan.ansatz

        def vectors(*shape: int) -> Tensor:
            return self.x.new_empty(*shape, lanes)

        fixed = torch.from_numpy(self.tables.fixed).to(self.x.dtype)
        trigonometry = vectors(ansatz.features_count + 1, 2)
        trigonometry[-1, 0], trigonometry[-1, 1] = 1, 0
        return {
            "trigonometry": trigonometry,
            "slopes": vectors(ansatz.features_count),
            "coefficients": fixed.unsqueeze(-1).expand(*fixed.shape[:2], COEFFICIENTS, lanes).contiguous(),
            "table": vectors(ansatz.states, 2),
            "diagonal": vectors(ansatz.states),
            "pairs": vectors(ansatz.states, 4),
            "bloch": vectors(ansatz.qubits, 3),
            "column_gradient": vectors(ansatz.features_count + 1),
        }

    def forward(self, keep: bool) -> None:
        """Fill ``y``, and ``state`` if it is to be kept."""
        states = self.plan.ansatz.states
        if keep:
            self.state = self.x.new_empty(self.blocks, states, 2, self.precision.lanes)
        function = kernels(self.plan.ansatz.qubits, self.precision).forward
        self._dispatch(function, {"state_stride": 2 * states if keep else 0}, keep_scratch_state=not keep)

    def backward(self, cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, ...]:
        """Gradients in x, embedding, weights and readout."""
        plan, columns = self.plan, self.plan.ansatz.features_count
        x_gradient = torch.empty_like(self.x) if needed[3] else self.x
        sizes = {
            "phase_sum": (plan.layers, plan.ansatz.states),
            "bloch_after": (plan.layers, plan.ansatz.qubits, 3),
            "bloch_before": (plan.layers, plan.ansatz.qubits, 3),
            "embedding_sum": (0,) if self.embedding is None else tuple(self.embedding.shape),
            "readout_sum": (0,) if self.readout is None else tuple(self.readout.shape),
        }
        arguments = {
            "state_stride": 2 * plan.ansatz.states,
            "cotangent": _lanes_last(cotangent, self.stride),
            "input_gradient": int(needed[3]),
            "x_gradient": x_gradient,
            "angle_gradient": x_gradient
            if needed[3] or self.embedding is not None
            else self.x.new_empty(columns, self.stride),
        }
        function = kernels(plan.ansatz.qubits, self.precision).backward
        totals = self._dispatch(function, arguments, sizes=sizes)
        parts = np.split(totals, np.cumsum([int(np.prod(size)) for size in sizes.values()])[:-1])
        sums = {name: part.reshape(size) for (name, size), part in zip(sizes.items(), parts, strict=True)}
        weights = gradient(plan, self.tables, sums["phase_sum"], sums["bloch_after"], sums["bloch_before"])
        return (
            x_gradient[:, : self.batch].t() if needed[3] else None,
            None if self.embedding is None else self._tensor(sums["embedding_sum"]),
            self._tensor(weights.reshape(self.weights_shape)),
            None if self.readout is None else self._tensor(sums["readout_sum"]),
        )

    def _tensor(self, values: npt.NDArray) -> Tensor:
        return torch.from_numpy(values).to(self.x.dtype)

    def _dispatch(
        self,
        function: Callable[[int], None],
        arguments: dict[str, int | npt.NDArray | Tensor],
        sizes: dict[str, tuple[int, ...]] | None = None,
        keep_scratch_state: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Run a kernel over chunks of blocks on all threads; returns its sums."""
        chunk = max(_CHUNK_COORDINATES // self.precision.lanes, -(-self.blocks // _CHUNKS), 1)
        starts = range(0, self.blocks, chunk)
        count = sum(int(np.prod(size)) for size in (sizes or {}).values())
        totals = self.x.new_empty(len(starts), count)
        queue = _Queue(starts)

        def work() -> None:
            values = {**self._shared, **self._scratch(), **arguments, "sums_count": count}
            if keep_scratch_state:
                values["state"] = values["pairs"]
            if sizes:
                sums = self.x.new_empty(count, self.precision.lanes)
                at = 0
                for name, size in sizes.items():
                    values[name] = sums[at:]
                    at += int(np.prod(size))
            row = np.array([_word(values.get(name, 0)) for name in ARGUMENTS], dtype=np.int64)
            for start in queue:
                row[0], row[1] = start, min(start + chunk, self.blocks)
                row[-1] = totals.data_ptr() + start // chunk * count * totals.element_size()
                function(row.ctypes.data)

        _in_parallel(work, min(torch.get_num_threads(), len(starts)))
        return totals.double().sum(0).numpy()


def _word(value: int | npt.NDArray | Tensor) -> int:
    if isinstance(value, Tensor):
        return value.data_ptr()
    return value if isinstance(value, int) else int(value.ctypes.data)


class _Queue:
    """Hands each item to one thread."""

    def __init__(self, items: Sequence[int]) -> None:
        self.items, self.lock = iter(items), Lock()

    def __iter__(self) -> Iterator[int]:
        while True:
            with self.lock:
                item = next(self.items, None)
            if item is None:
                return
            yield item


_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _in_parallel(work: Callable[[], None], threads: int) -> None:
    """Run the work on this thread and on threads - 1 others."""
    global _pool
    if threads <= 1:
        return work()
    if _pool is None or _pool._max_workers < threads - 1:
        _pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="quinr-cpu")
    others = [_pool.submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        other.result()
