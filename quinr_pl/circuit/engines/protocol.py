"""What an engine is. Engines know this and the circuit; which engines there are, the registry knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Field, Value


class Engine(ABC):
    """Runs the circuit of an ansatz for a batch of coordinates.

    Options, such as a number of shots or a seed, are keyword arguments of the constructor, with defaults.
    An engine is copied and pickled with the network that holds it, and no file keeps a trace of it.

    Attributes:
        name: What messages, and the registry where it has the engine, call it.
        exact: Whether it computes the probabilities themselves, to rounding. Exact engines stand in for one
            another; any other engine is kept wherever a network computes, with and without gradients.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]

    def refusal(self, device: torch.device) -> str:
        """Why this engine cannot serve a device; empty if it can."""
        return ""

    def on(self, device: torch.device) -> Engine:
        """The engine that computes for tensors of a device: this one.

        Raises:
            QuinrError: If it cannot serve the device.
        """
        if reason := self.refusal(device):
            raise QuinrError(f"engine {self.name} on a {device.type} device: {reason}; choose auto")
        return self

    def report(self) -> str:
        """What the engine has done so far, for people; empty if there is nothing to tell."""
        return ""

    @abstractmethod
    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states, differentiable in the angles and in the weights.

        Args:
            ansatz: Ansatz of the circuit.
            angles: float32 or float64 tensor of shape (batch, ansatz.features_count), in radians; the
                batch may be empty.
            weights: Tensor of shape ansatz.weights_shape, same dtype and device, in radians.
            states: Basis states to measure, qubit 0 as the most significant bit; all when left out.

        Returns:
            Tensor of shape (batch, len(states)), of the same dtype and on the same device.

        Raises:
            QuinrError: If a shape, dtype or device does not fit; :func:`check` finds out.
        """


class FusedEngine(Engine):
    """An engine that computes sinusoidal embedding, circuit and read-out in one pass."""

    @abstractmethod
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
        """``readout @ probabilities(angle_scale * h)``, differentiable in every tensor.

        With ``h = sin(omega0 * (inputs @ embedding_weight.T + embedding_bias))``.

        Args:
            ansatz: Ansatz of the circuit.
            inputs: Coordinates, (batch, in_features).
            embedding_weight: Weights of the embedding, (ansatz.features_count, in_features).
            embedding_bias: Biases of the embedding, (ansatz.features_count,).
            weights: Rotations in radians, of shape ``ansatz.weights_shape``.
            readout: (out_features, 2**qubits), or None for all probabilities.
            omega0: Frequency of the sine.
            angle_scale: Amplitude of the angles in radians.

        Returns:
            (batch, out_features), or (batch, 2**qubits) without a readout.

        Raises:
            QuinrError: If a shape or dtype does not fit.
        """

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
        """``sine_layer(...) + inputs @ skip.T + offset``, differentiable in every tensor.

        Args:
            ansatz: Ansatz of the circuit.
            inputs: Coordinates, (batch, in_features).
            embedding_weight: As for :meth:`sine_layer`.
            embedding_bias: Likewise.
            weights: Likewise.
            readout: (out_features, 2**qubits).
            skip: (out_features, in_features).
            offset: (out_features,).
            omega0: Frequency of the sine.
            angle_scale: Amplitude of the angles in radians.

        Returns:
            (batch, out_features).

        Raises:
            QuinrError: If a shape or dtype does not fit.
        """
        layer = (ansatz, inputs, embedding_weight, embedding_bias, weights, readout)
        values = self.sine_layer(*layer, omega0=omega0, angle_scale=angle_scale)
        return values + torch.nn.functional.linear(inputs, skip, offset)


def check_options(name: str, **options: tuple[Field, Value | None]) -> None:
    """Refuse options of an engine that their fields do not allow.

    Args:
        name: The engine's.
        **options: What is allowed, and the value; None for an option that is left out.

    Raises:
        QuinrError: That names the engine, the option, the value and what would be right.
    """
    for option, (field, value) in options.items():
        try:
            if value is not None:
                field.check(value)
        except QuinrError as error:
            raise QuinrError(f"engine {name} with {option} {value}: {error}") from None


def check(
    ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Refuse what no engine can run.

    Returns:
        The basis states to measure.

    Raises:
        QuinrError: If a shape or dtype does not fit the ansatz, or a state does not exist.
    """
    if angles.ndim != 2 or angles.shape[1] != ansatz.features_count:
        raise QuinrError(f"angles of shape {tuple(angles.shape)}: needs (batch, {ansatz.features_count})")
    if tuple(weights.shape) != ansatz.weights_shape:
        raise QuinrError(f"weights of shape {tuple(weights.shape)}: needs {ansatz.weights_shape}")
    if angles.dtype not in (torch.float32, torch.float64) or weights.dtype != angles.dtype:
        raise QuinrError(
            f"angles of {angles.dtype} with weights of {weights.dtype}: both must be float32 or both float64"
        )
    if angles.device != weights.device:
        raise QuinrError(f"angles on {angles.device}, weights on {weights.device}: needs one device for both")
    if states is None:
        return tuple(range(ansatz.states))
    for state in states:
        if not 0 <= state < ansatz.states:
            raise QuinrError(f"basis state {state}: {ansatz.qubits} qubits have 0 to {ansatz.states - 1}")
    return tuple(states)
