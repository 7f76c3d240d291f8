"""The fused CPU engine: embedding, circuit and read-out of a batch in compiled code, forward and adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.cpu_call import Call
from quinr_pl.circuit.engine import check
from quinr_pl.errors import QuinrError


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
        measured = check(ansatz, angles, weights, states)
        if not measured:
            return angles[:, :0] + 0 * weights.sum()
        readout = None
        if states is not None:
            readout = torch.zeros(len(states), ansatz.states, dtype=angles.dtype)
            readout[range(len(states)), list(measured)] = 1
        return _run(ansatz, 1.0, 1.0, angles, None, None, weights, readout)

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
        if tuple(embedding_bias.shape) != expected[:1]:
            raise QuinrError(f"embedding bias of shape {tuple(embedding_bias.shape)}: needs {expected[:1]}")
        if readout is not None and (
            readout.ndim != 2 or not len(readout) or readout.shape[1] != ansatz.states
        ):
            raise QuinrError(f"readout of shape {tuple(readout.shape)}: needs (out, {ansatz.states})")
        tensors = (inputs, embedding_weight, embedding_bias, weights, readout)
        return _run(ansatz, omega0, angle_scale, *tensors)


def _run(ansatz: Ansatz, frequency: float, scale: float, *tensors: Tensor | None) -> Tensor:
    # The kernels read memory by its address and trust what is said about it.
    kinds = {(t.device.type, t.dtype) for t in tensors if t is not None}
    if len(kinds) > 1 or next(iter(kinds))[0] != "cpu":
        found = ", ".join(sorted(f"{dtype} on {device}" for device, dtype in kinds))
        raise QuinrError(f"engine cpu got tensors of {found}: needs one precision, on the cpu")
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    result: Tensor = _Circuit.apply(ansatz, keep, frequency, scale, *tensors)
    return result


class _Circuit(torch.autograd.Function):
    """Read-out of the circuit; saves the final states if the backward pass will want them."""

    @staticmethod
    def forward(
        ctx: Any,
        ansatz: Ansatz,
        keep: bool,
        frequency: float,
        scale: float,
        x: Tensor,
        embedding: Tensor | None,
        bias: Tensor | None,
        weights: Tensor,
        readout: Tensor | None,
    ) -> Tensor:
        call = Call(ansatz, frequency, scale, x, embedding, bias, weights, readout)
        if keep:
            ctx.call = call
            ctx.save_for_backward(x, embedding, bias, weights, readout)
        return call.forward(keep)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises if one was changed in place since the forward pass
        gradients = ctx.call.backward(cotangent, ctx.needs_input_grad[4])
        names = ("x", "embedding", "bias", "weights", "readout")
        return None, None, None, None, *(gradients[name] for name in names)
