"""The fused CPU engine: embedding, circuit and read-out of a batch in compiled code, forward and adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.call import Call
from quinr_pl.circuit.engines.protocol import FusedEngine, check
from quinr_pl.circuit.lowering.in_torch import probabilities_in_torch
from quinr_pl.errors import QuinrError
from quinr_pl.native.memory import check_readable
from quinr_pl.native.operation import Gradients, Operation


class CpuEngine(FusedEngine):
    """Batched adjoint simulator for the CPU.

    Threads are those of ``quinr_pl.native.threads``. A coordinate's result depends neither on its batch nor
    on the threads; gradients in weights depend on the batch, not on the threads.
    """

    name = "cpu"
    exact = True

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        return "" if device.type == "cpu" else "its kernels are for the CPU"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        if not measured:
            return angles[:, :0] + 0 * weights.sum()
        readout = None
        if states is not None:
            readout = torch.zeros(len(states), ansatz.states, dtype=angles.dtype)
            readout[range(len(states)), list(measured)] = 1
        return _Circuit(ansatz)(angles, None, None, weights, readout)

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
        """Embedding, circuit and read-out in one pass; see `FusedEngine.sine_layer`."""
        _check_layer(ansatz, inputs, embedding_weight, embedding_bias, weights, readout)
        circuit = _Circuit(ansatz, omega0, angle_scale)
        return circuit(inputs, embedding_weight, embedding_bias, weights, readout)

    def residual_layer(
        self,
        ansatz: Ansatz,
        inputs: Tensor,
        embedding_weight: Tensor,
        embedding_bias: Tensor,
        weights: Tensor,
        readout: Tensor,
        skip: Tensor,
        offset: Tensor,
        *,
        omega0: float = 30.0,
        angle_scale: float = 1.0,
    ) -> Tensor:
        """All of it in one pass; see `FusedEngine.residual_layer`."""
        _check_layer(ansatz, inputs, embedding_weight, embedding_bias, weights, readout)
        if tuple(skip.shape) != (len(readout), inputs.shape[1]) or tuple(offset.shape) != (len(readout),):
            raise QuinrError(
                f"skip of shape {tuple(skip.shape)} and offset of shape {tuple(offset.shape)}: needs "
                f"({len(readout)}, {inputs.shape[1]}) and ({len(readout)},)"
            )
        circuit = _Circuit(ansatz, omega0, angle_scale)
        return circuit(inputs, embedding_weight, embedding_bias, weights, readout, skip, offset)


def _check_layer(
    ansatz: Ansatz,
    inputs: Tensor,
    embedding_weight: Tensor,
    embedding_bias: Tensor,
    weights: Tensor,
    readout: Tensor | None,
) -> None:
    expected = (ansatz.features_count, inputs.shape[-1])
    if inputs.ndim != 2 or tuple(embedding_weight.shape) != expected:
        raise QuinrError(
            f"inputs of shape {tuple(inputs.shape)} with embedding weight of shape "
            f"{tuple(embedding_weight.shape)}: needs (batch, in) and ({ansatz.features_count}, in)"
        )
    if ansatz.amplitudes:
        raise QuinrError(f"design {ansatz.design}: its amplitudes are no sines; give them as they are")
    check(ansatz, inputs.new_empty(0, ansatz.features_count), weights)
    if tuple(embedding_bias.shape) != expected[:1]:
        raise QuinrError(f"embedding bias of shape {tuple(embedding_bias.shape)}: needs {expected[:1]}")
    if readout is not None and (readout.ndim != 2 or not len(readout) or readout.shape[1] != ansatz.states):
        raise QuinrError(f"readout of shape {tuple(readout.shape)}: needs (out, {ansatz.states})")


@dataclass(frozen=True)
class _Circuit(Operation):
    """Read-out of the circuit; the kernels keep the final states if gradients will be asked for.

    Attributes:
        ansatz: Ansatz of the circuit.
        frequency: omega0 of the embedding.
        scale: Amplitude of its angles.
    """

    ansatz: Ansatz
    frequency: float = 1.0
    scale: float = 1.0

    def run(
        self,
        keep: bool,
        x: Tensor,
        embedding: Tensor | None,
        bias: Tensor | None,
        weights: Tensor,
        readout: Tensor | None,
        *past_circuit: Tensor,
    ) -> tuple[Tensor, Gradients]:
        check_readable("engine cpu", x, embedding, bias, weights, readout, *past_circuit)
        circuit = self.ansatz, self.frequency, self.scale
        call: Call[Tensor] = Call(*circuit, x, embedding, bias, weights, readout, *past_circuit)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
            found = call.backward(cotangent, needed[0])
            names = ("x", "embedding", "bias", "weights", "readout", "skip", "offset")
            return [found[name] for name in names[: 5 + len(past_circuit)]]

        return call.forward(keep), gradients

    def in_torch(
        self,
        x: Tensor,
        embedding: Tensor | None,
        bias: Tensor | None,
        weights: Tensor,
        readout: Tensor | None,
        *past_circuit: Tensor,
    ) -> Tensor:
        angles = x
        if embedding is not None:
            assert bias is not None
            angles = self.scale * torch.sin(self.frequency * torch.nn.functional.linear(x, embedding, bias))
        probabilities = probabilities_in_torch(self.ansatz, angles, weights)
        values = probabilities if readout is None else probabilities @ readout.t()
        return values + torch.nn.functional.linear(x, *past_circuit) if past_circuit else values
