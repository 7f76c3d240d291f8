"""What networks offer to the trainer and to the codec: one base, and two protocols below it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from quinr_pl.errors import QuinrError
from quinr_pl.fields import Value
from quinr_pl.network.decoders.protocol import Floats, NetworkFormat, Reconstruction, Shape, Values, layers
from quinr_pl.network.latent.context_model import ContextModel
from quinr_pl.network.latent.context_shape import ContextShape
from quinr_pl.network.layers.quantum_layer import QuantumLayer
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.window import Window
from quinr_pl.signals import coordinates as grid_coordinates


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
class Moved:
    """What a network has done to the elements of a parameter by itself: an optimizer's moments follow.

    Attributes:
        parameter: The parameter.
        order: Where each element along the last axis was before; None where all elements are new.
    """

    parameter: Tensor
    order: Sequence[int] | None = None


@dataclass(frozen=True)
class TrainingStage:
    """Successive steps of a training that cost alike.

    Args:
        steps: Share of all steps.
        steered: Whether ``rate_weight`` moves what the file will take: all of its integers are trained.
        tiles: Steps that see the whole signal once.
    """

    steps: float
    steered: bool = True
    tiles: int = 1


class Network(NetworkFormat, nn.Module):
    """Gives the values of a signal, in [0, 1], one row for each of its coordinates in [-1, 1].

    ``CoordinateNetwork`` and ``SignalNetwork`` below say which coordinates it takes at a time. Files know a
    class by a line in ``quinr_pl.network.NETWORKS``, or by its ``register``; its code and its fields are part
    of the format from then on, and stay.

    Attributes:
        whole_signal: Whether ``forward`` and ``loss`` take the coordinates of the whole signal, in row-major
            order, at every step; else they take any of them.
        in_features: Size of a coordinate.
        out_features: Size of a value.
        fixed_point_layers: Layers whose weights must be multiples of powers of two, for a decoder in
            integers.
        rate_weight: λ, what a bit for each pixel costs the loss, in units of the mean squared error. It may
            be set at any time.
    """

    whole_signal: ClassVar[bool]
    in_features: int
    out_features: int
    fixed_point_layers: tuple[str, ...] = ()
    rate_weight: float = 0.0

    def __init__(self, **architecture: Value) -> None:
        super().__init__(**architecture)
        self.in_features = int(architecture["in_features"])
        self.out_features = int(architecture["out_features"])

    @classmethod
    def outline(cls, architecture: Mapping[str, Value]) -> Self:
        """See NetworkFormat: weights have a shape but neither values nor memory."""
        with torch.device("meta"):
            return cls(**architecture)

    def weight_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat: those of ``weights``."""
        return {name: tuple(weight.shape) for name, weight in self.weights().items()}

    def integer_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat: those of ``integers``."""
        return {name: tuple(integers.shape) for name, integers in self.integers().items()}

    def context_shape(self) -> ContextShape | None:
        """See NetworkFormat: that of ``context_model``."""
        model = self.context_model()
        if model is None:
            return None
        name = next(name for name, module in self.named_modules() if module is model)
        layers = len(model.layers) - 1
        return ContextShape(name, model.neighbours, model.hidden.out_features, layers)

    def reconstruction(self, values: Values) -> Reconstruction:
        """See NetworkFormat: takes the values for its own, and computes by ``signal`` where they then lie.

        A later move to another device takes the computation there; blocks come as arrays from any.
        """
        missing = self.state_dict().keys() - values.keys()
        if missing:
            raise QuinrError(
                f"--model.network {self.network_name()}: no section of the file holds its "
                f"{', '.join(sorted(missing))}; make buffers not persistent, and name what a section holds "
                "in weights or integers"
            )
        self.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()}, assign=True)
        self.eval()

        @torch.no_grad()
        def signal(start: int, stop: int, shape: Shape) -> Floats:
            found: Floats = self.signal(start, stop, shape).cpu().numpy()
            return found

        return signal

    def drawn_anew(self) -> Self:
        """A network of the same arguments whose weights are drawn anew."""
        return type(self)(**self.architecture())

    @abstractmethod
    def forward(self, coordinates: Tensor) -> Tensor:
        """Values of a batch of coordinates: (batch, in_features) -> (batch, out_features), not clamped.

        ``whole_signal`` says what a batch is.
        """

    @abstractmethod
    def signal(self, start: int, stop: int, shape: tuple[int, ...]) -> Tensor:
        """Values of a block of the signal, as the decoder computes it: (stop - start, out_features).

        They are differentiable, in integers as if rounding left them as they are.

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

        It is differentiable in the integers as if rounding left them as they are; so is ``forward``.
        """
        return torch.zeros(())

    def quantum_layers(self) -> list[QuantumLayer]:
        """The circuits, in the order in which the network holds them; none in a classical network."""
        return [module for module in self.modules() if isinstance(module, QuantumLayer)]

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

    @torch.no_grad()
    def follow(self, values: Values, predicted: Floats | None = None) -> None:
        """Begin as a frame that is told by another one: with its weights, and integers that add to its.

        Args:
            values: Weights and integers of the other frame, by name.
            predicted: What that frame shows of the signal, (pixels, out_features): values are then added to
                it, integers stand for themselves, and weights stay. Trained anew, they would take as much of
                a file as the integers and save less.

        Raises:
            QuinrError: If the class does not know how to add either.
        """
        for name, weight in self.weights().items():
            weight.copy_(torch.from_numpy(values[name]))
        if predicted is None:
            self.add_integers_to({name: torch.from_numpy(values[name]) for name in self.integers()})
        else:
            for weight in self.weights().values():
                weight.requires_grad_(False)
            self.add_values_to(torch.from_numpy(predicted))

    def add_values_to(self, predicted: Tensor) -> None:
        """Compute with sums of others and what integers make of the values, from now on.

        Args:
            predicted: Values of the signal while all integers are zero, (pixels, out_features).

        Raises:
            QuinrError: If the class does not know how.
        """
        raise QuinrError(
            f"--model.network {self.network_name()}: its values cannot be told by those of another frame; "
            "compress each frame by itself"
        )

    def add_integers_to(self, others: Mapping[str, Tensor]) -> None:
        """Compute with sums of the integers and others, by name, from now on.

        Raises:
            QuinrError: If there are any, and the class does not know how.
        """
        if others:
            raise QuinrError(
                f"--model.network {self.network_name()}: its integers cannot be told by those of another "
                "frame; compress each frame by itself"
            )

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
        mse = squared_error(self(coordinates), targets)
        return mse, {"mse": mse.detach()}

    def begin_step(self, step: int, progress: float) -> Sequence[Moved]:
        """Told the number of each training step before ``loss``, which may look at a part by it.

        Args:
            step: From 0.
            progress: As for ``loss``.

        Returns:
            Parameters whose elements have been moved, for the optimizer's moments to follow.
        """
        return ()

    def training_state(self) -> dict[str, int]:
        """What a training needs to go on, beside the parameters."""
        return {}

    def load_training_state(self, state: Mapping[str, int]) -> None:
        """Goes on from a state; of an earlier version, one that tells less."""

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
