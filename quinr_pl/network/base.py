"""What networks offer to the trainer and to the codec: one base, and two protocols below it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quinr_pl.errors import QuinrError
from quinr_pl.fields import Field, Integer, Value, check_fields
from quinr_pl.network.cost import NetworkCost
from quinr_pl.network.latent.context_model import ContextModel
from quinr_pl.network.layers.quantum_layer import QuantumLayer
from quinr_pl.ops.window import Window
from quinr_pl.signals import SignalSpec
from quinr_pl.signals import coordinates as grid_coordinates

LOG_RANGE = Integer(0, 16, 0)
"""Nats of a logarithmic scale: single precision bears no more."""


def layers(names: Iterable[str]) -> dict[str, list[str]]:
    """Parameters by layer: those that share all of their name but its last part."""
    result: dict[str, list[str]] = {}
    for name in names:
        result.setdefault(name.rpartition(".")[0], []).append(name)
    return result


def known_mse(values: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over all values, those with a target of NaN being without error: any will do."""
    return torch.where(targets.isnan(), 0.0, values - targets).square().mean()


def from_log_scale(values: Tensor, nats: int) -> Tensor:
    """Values t of a logarithmic scale on the linear one: (exp(nats t) - 1) / (exp(nats) - 1), t for 0 nats.

    0 stays 0 and 1 stays 1; near 0, where most ranges of a scan lie, a step of t is exp(nats) times finer
    than near 1.
    """
    return torch.expm1(nats * values) / math.expm1(nats) if nats else values


@dataclass(frozen=True)
class PartialGradient:
    """The gradient of a loss that looked at a part of a parameter.

    Attributes:
        parameter: (rows, columns).
        window: The part.
        gradient: Of the window's shape.
    """

    parameter: nn.Parameter
    window: Window
    gradient: Tensor


@dataclass(frozen=True)
class TrainingStage:
    """Successive steps of a training that cost alike.

    Args:
        steps: Share of all steps.
        steered: Whether ``rate_weight`` moves what the file will take: all of its integers are trained.
    """

    steps: float
    steered: bool = True


class Network(nn.Module, ABC):
    """Gives the values of a signal, in [0, 1], one row for each of its coordinates in [-1, 1].

    ``CoordinateNetwork`` and ``SignalNetwork`` below say which coordinates it takes at a time. Files know a
    class by a line in ``quinr_pl.network.NETWORKS``, or by its ``register``; its code and its fields are part
    of the format from then on, and stay.

    Args:
        architecture: The constructor's arguments that determine the function, by name: one for each field,
            and those of ``signal_arguments``.

    Raises:
        QuinrError: If one is out of range.

    Attributes:
        CODE: The class's number in files, up to 255; those from 128 on are free for other packages.
        FIELDS: The constructor's arguments that a file holds, each with its bounds. Those with a default come
            in the order of their bits in the file's presence mask, the ones most often changed first.
        whole_signal: Whether ``forward`` and ``loss`` take the coordinates of the whole signal, in row-major
            order, at every step; else they take any of them.
        in_features: Size of a coordinate.
        out_features: Size of a value.
        fixed_point_layers: Layers whose weights must be multiples of powers of two, for a decoder in
            integers.
        rate_weight: λ, what a bit for each pixel costs the loss, in units of the mean squared error. It may
            be set at any time.
    """

    CODE: ClassVar[int]
    FIELDS: ClassVar[Mapping[str, Field]]
    whole_signal: ClassVar[bool]
    in_features: int
    out_features: int
    fixed_point_layers: tuple[str, ...] = ()
    rate_weight: float = 0.0

    def __init__(self, **architecture: Value) -> None:
        super().__init__()
        check_fields(self.FIELDS, architecture, "--model.network")
        for name in architecture.keys() - self.FIELDS.keys():
            if int(architecture[name]) < 1:
                raise QuinrError(f"--model.network.{name} {architecture[name]}: must be at least 1")
        self._architecture = architecture
        self.in_features = int(architecture["in_features"])
        self.out_features = int(architecture["out_features"])

    @classmethod
    def signal_arguments(cls, spec: SignalSpec) -> dict[str, int]:
        """The constructor's arguments that follow from the signal: the numbers of its axes and channels.

        Raises:
            QuinrError: If the class takes no such signal.
        """
        return {"in_features": len(spec.shape), "out_features": spec.channels}

    @classmethod
    @abstractmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """What a network costs the decoder, told from its arguments alone, before it is built.

        Args:
            architecture: As ``architecture`` returns it, each argument within its bounds.
        """

    def architecture(self) -> dict[str, Value]:
        """The constructor's arguments that determine the function: what a file must hold besides weights.

        ``type(network)(**network.architecture())`` has the same parameters, by name and shape, and with
        equal weights computes the same values. Where and how it runs (the engine) is no part of it.
        """
        return dict(self._architecture)

    @abstractmethod
    def forward(self, coordinates: Tensor) -> Tensor:
        """Values of a batch of coordinates: (batch, in_features) -> (batch, out_features), not clamped.

        ``whole_signal`` says what a batch is.
        """

    @abstractmethod
    def signal(self, start: int, stop: int, shape: tuple[int, ...]) -> Tensor:
        """Values of a block of the signal, as the decoder computes it: (stop - start, out_features).

        Args:
            start: First pixel, in row-major order.
            stop: One past the last pixel.
            shape: Size of each axis of the signal.
        """

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters that a file holds rounded to multiples of a step size, by name."""
        integers = self.integers()
        return {name: value for name, value in self.named_parameters() if name not in integers}

    def integers(self) -> dict[str, nn.Parameter]:
        """The parameters that a file holds rounded to integers (latents), by name; none by default."""
        return {}

    def context_model(self) -> ContextModel | None:
        """The model that prices the integers in the file's section of latents; None without that section."""
        return None

    def integer_bits(self) -> Tensor:
        """What the rounded integers take of a file by the network's own estimate, in bits: a scalar.

        It and ``forward`` are differentiable in the integers as if rounding left them as they are.
        """
        return torch.zeros(())

    def quantum_layers(self) -> list[QuantumLayer]:
        """The circuits, in the order in which the network holds them; none in a classical network."""
        return [module for module in self.modules() if isinstance(module, QuantumLayer)]

    def parameter_count(self) -> int:
        """Number of weights that a file holds."""
        return sum(p.numel() for p in self.weights().values())

    def parameter_periods(self) -> dict[str, Tensor]:
        """Periods of the periodic parameters: name -> positive tensor that broadcasts to the parameter.

        Adding a multiple of the period to an element leaves the function unchanged.
        """
        return {}

    def parameters_by_depth(self) -> list[list[str]]:
        """Names of the parameters of each layer, in the order in which a coordinate meets the layers."""
        return list(layers(name for name, _ in self.named_parameters()).values())

    def feature_weights(self) -> list[nn.Parameter]:
        """Weights of linear maps of hidden features: what weight decay is for.

        Left out are those of coordinates, which are frequencies, and all that is periodic.
        """
        return []

    def calibrate(self, coordinates: Tensor) -> None:
        """Data-dependent initialisation, called once before training.

        Args:
            coordinates: A sample of the signal's, (sample, in_features).
        """

    def stage(self, progress: float) -> Hashable | None:
        """What is equal for steps whose loss is found by the same operations on other numbers.

        None where no two steps are alike, whatever the progress.
        """
        return 0

    def schedule(self, progress: float) -> tuple[float, ...]:
        """Numbers of the loss that change from step to step, as many for every step of a stage."""
        return ()

    def loss(
        self, coordinates: Tensor, targets: Tensor, progress: float, schedule: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What training minimizes: the mean squared error, unless a network says otherwise.

        Args:
            coordinates: A batch, (batch, in_features); see ``whole_signal``.
            targets: (batch, out_features), in [0, 1], or NaN where any value will do.
            progress: Share of the training that is done, in [0, 1].
            schedule: What ``schedule`` gives for it, on the weights' device and in their precision; made
                of the progress when left out. With it the progress tells no more than the stage.

        Returns:
            The loss, and figures to log, ``mse`` among them.
        """
        mse = known_mse(self(coordinates), targets)
        return mse, {"mse": mse.detach()}

    def begin_step(self, step: int) -> None:
        """Told the number of each training step, from 0, before ``loss``, which may look at a part by it."""

    def partial_gradients(self) -> list[PartialGradient]:
        """Gradients of the parameters of which the last loss looked at a part only; the others have ``grad``.

        They are handed out once. Elsewhere in these parameters, neither values nor an optimizer's moments
        change with the step.
        """
        return []

    def progress(self, share: float) -> float:
        """Share of the training's work that is done after a share of its steps, both in [0, 1]."""
        return share

    def training_stages(self) -> Sequence[TrainingStage]:
        """The stages of a training, the first one first; their shares of the steps add up to 1."""
        return [TrainingStage(1.0)]

    def learning_rate_factors(self) -> dict[str, float]:
        """Learning rates in units of the trainer's, by the beginning of parameters' names; 1 for others."""
        return {}


class CoordinateNetwork(Network):
    """A network that gives the values of any coordinates, each by itself."""

    whole_signal = False

    def signal(self, start: int, stop: int, shape: tuple[int, ...]) -> Tensor:
        """See Network: the values of the block's coordinates."""
        coordinates = grid_coordinates(shape, start, stop)
        return self(coordinates.to(next(self.parameters())))

    @torch.no_grad()
    def evaluate(self, coordinates: Tensor, block: int = 65536) -> Tensor:
        """Values of many coordinates in blocks, without gradients: bounded memory whatever their number."""
        return torch.cat([self(part) for part in coordinates.split(block)])


class SignalNetwork(Network):
    """A network that gives the whole signal at once, or a block of it, as one with latent grids does."""

    whole_signal = True
