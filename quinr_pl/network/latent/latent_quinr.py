"""quINR on latent grids: the file holds a pyramid of integers, and the circuit turns them into values."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Pairs
from quinr_pl.circuit.engines.registry import EngineLike
from quinr_pl.errors import QuinrError
from quinr_pl.network.base import Moved, PartialGradient, TrainingStage
from quinr_pl.network.latent.bands import grid_shape
from quinr_pl.network.latent.latent_signal import LatentSignal
from quinr_pl.network.latent.pictures import Pictures
from quinr_pl.network.latent.pyramid import UpsamplingKind
from quinr_pl.network.latent.relaxation import Relaxation
from quinr_pl.network.latent.stages import Stages
from quinr_pl.network.latent.synthesis import SynthesisKind
from quinr_pl.network.latent.tiles import STEP_PIXELS, Tiles
from quinr_pl.network.latent.touched import Touched
from quinr_pl.ops.noise import draw_key
from quinr_pl.ops.relaxation import relaxed
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.window import Window


class LatentQuINR(LatentSignal):
    """Latent grids, interpolated at each pixel, go through the circuit and past it to the values.

    Values are those of the circuit's read-out plus a linear function of the latents, followed by small
    residual convolutions. A context model prices the latents, so that training minimizes the mean squared
    error plus ``rate_weight`` times the bits for each pixel. The structure is that of Cool-Chic (Ladune et
    al. 2023) with a quantum circuit in place of its multilayer perceptron; a training step takes the whole
    signal, or one tile of a large one.

    Training begins on the signal at 1/2**n of its resolution, where a step costs 4**-n and grids that are
    finer have no part yet, and ends at the full one. A step on a tile moves the tile's own latents and all
    weights; see `Tiles`.

    Args:
        in_features: Size of a coordinate; coordinates say which pixels are asked for, and no more.
        out_features: Size of a value.
        height: Rows of the signal, which are all of its axes but the last; from the data where the command
            line builds the network.
        width: Columns of the signal, its last axis, likewise.
        finest: The finest grid has one latent for ``2**finest`` pixels a side.
        grids: Number of grids, each of half the resolution of the one before.
        qubits: Number of qubits.
        angles: Angles of one upload.
        uploads: Number of uploads, each with angles of its own.
        layers: Entangling layers after each upload.
        pairs: Pairs of qubits that CRZ gates entangle; see `Ansatz`.
        angle_scale: Largest embedding angle in radians.
        synthesis: "circuit"; or "relu", the classical twin: a hidden layer of as many weights.
        filters: Number of residual 3 x 3 convolutions.
        neighbours: Latents around a latent that the context model sees.
        context_width: Hidden units of each layer of the context model.
        context_layers: Hidden layers of the context model, 1 or 2.
        upsampling: "shared", one filter of all doublings of the resolution, or "own", one of each.
        rate_weight: λ, what a bit for each pixel costs, in units of the mean squared error.
        coarse_steps: Shares of the steps at reduced resolutions, the coarsest first: (a, b) begins with a
            share a of the steps at 1/4, then a share b at 1/2.
        enlargements: How many of these stages at most, from the first on, end by moving each grid to the next
            finer one, interpolated, and its weights with it. So a grid keeps what it holds relative to the
            pixels. After the other stages a finer grid joins at zero, and the coarser ones keep what they
            hold; so it is in all stages of a frame that is told by another one.
        step_pixels: A signal of more pixels is trained on tiles of about as many, which bounds the memory of
            a step.
        hard_share: Share of the work, at the end, that fits the weights to rounded latents, which stay.
        latent_learning_rate: Learning rate of latents in units of that of weights.
        engine: What runs the circuit: a name, a name with options or an engine; see
            quinr_pl.circuit.engines.registry.make_engine.

    Raises:
        QuinrError: If an argument is out of range.
    """

    def __init__(
        self,
        in_features: int = 2,
        out_features: int = 3,
        height: int = 64,
        width: int = 64,
        finest: int = 1,
        grids: int = 6,
        qubits: int = 4,
        angles: int = 8,
        uploads: int = 2,
        layers: int = 1,
        pairs: Pairs = "ring",
        angle_scale: float = 1.5,
        synthesis: SynthesisKind = "circuit",
        filters: int = 2,
        neighbours: int = 12,
        context_width: int = 12,
        context_layers: int = 1,
        upsampling: UpsamplingKind = "shared",
        rate_weight: float = 6e-3,
        coarse_steps: Sequence[float] = (0.5, 0.35),
        enlargements: int = 0,
        hard_share: float = 0.08,
        latent_learning_rate: float = 6.0,
        step_pixels: int = STEP_PIXELS,
        engine: EngineLike = "auto",
    ) -> None:
        _check_training(rate_weight, hard_share, latent_learning_rate)
        super().__init__(
            gain=_first_gain(rate_weight),
            band_pixels=step_pixels,
            engine=engine,
            in_features=in_features,
            out_features=out_features,
            height=height,
            width=width,
            finest=finest,
            grids=grids,
            qubits=qubits,
            angles=angles,
            uploads=uploads,
            layers=layers,
            pairs=pairs,
            angle_scale=angle_scale,
            synthesis=synthesis,
            filters=filters,
            neighbours=neighbours,
            context_width=context_width,
            context_layers=context_layers,
            upsampling=upsampling,
        )
        self.rate_weight, self.hard_share = rate_weight, hard_share
        self.latent_learning_rate = latent_learning_rate
        self._tiles = Tiles(height, width, finest + grids - 1, step_pixels)
        self._coarse_steps = tuple(coarse_steps)
        self._stages = Stages(self._coarse_steps, self._tiles.count, enlargements, finest)
        self._enlarged = 0  # how often all grids have been
        self._step, self._touched, self._pictures = 0, Touched(), Pictures(height, width)
        self._begun_with_second: bool | None = None  # known from the first step on
        with torch.no_grad():
            for weight in self._weights_of_grids():
                weight.copy_(weight.roll(self._stages.enlargements, -1))

    def drawn_anew(self) -> Self:
        """See Network: λ says how large the first weights are."""
        arguments: dict[str, Any] = {
            **self.architecture(),
            "rate_weight": self.rate_weight,
            "coarse_steps": self._coarse_steps,
            "enlargements": self._stages.enlargements,
        }
        return type(self)(**arguments)

    def _weights_of_grids(self) -> list[Tensor]:
        """Those whose last axis is that of the grids, the finest first."""
        return [self.synthesis.of_features, self.skip.weight, self.context.grid.bias]

    def stage(self, progress: float) -> Hashable | None:
        """Octave, and whether latents are rounded; None on tiles, each of which is another one."""
        if self._tiles.count(0) > 1:
            return None
        return self._stages.octave(progress), self._is_hard(progress)

    def _is_hard(self, progress: float) -> bool:
        """Whether latents are rounded for good."""
        return progress >= 1 - self.hard_share

    def schedule(self, progress: float) -> tuple[float, ...]:
        """What a bit costs; then temperature and spread of each grid that is relaxed, the finest first."""
        # Grids that are to be enlarged have so many fewer latents for as much of the signal.
        to_come = self._stages.enlargements - max(self._enlarged, self._stages.enlarged(progress))
        numbers = [4**to_come * self.rate_weight / (self.height * self.width)]
        octave, hard = self._stages.octave(progress), self._is_hard(progress)
        soft = 1 - self.hard_share
        for level in range(max(octave, self.pyramid.finest), 0 if hard else self.pyramid.coarsest + 1):
            # A grid that joins late, at zero, would hardly leave it through a hard staircase.
            begins = self._stages.joining(level)
            relaxation = Relaxation.at(max(0.0, (progress - begins) / (soft - begins)))
            numbers += [relaxation.temperature, relaxation.spread]
        return tuple(numbers)

    def loss(
        self, coordinates: Tensor, targets: Tensor, progress: float, schedule: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error plus ``rate_weight`` times the estimated bits for each pixel, ``bpp``.

        Raises:
            QuinrError: If the batch is not the whole signal.
        """
        self._check_whole(coordinates)
        octave, hard = self._stages.octave(progress), self._is_hard(progress)
        if schedule is None:
            schedule = self.skip.weight.new_tensor(self.schedule(progress))
        settings = None if hard else schedule[1:].view(-1, 2)
        if self.predicted is not None:
            targets = targets - self.predicted
        if self._tiles.count(0) > 1:
            mse, bits = self._on_tile(targets, settings, octave)
        else:
            mse, bits = self._on_all(targets, settings, octave)
        figures = {"mse": mse.detach(), "bpp": bits.detach() / (self.height * self.width)}
        return torch.addcmul(mse, schedule[0], bits), figures

    def _on_all(self, targets: Tensor, settings: Tensor | None, octave: int) -> tuple[Tensor, Tensor]:
        """Mean squared error and bits of the whole signal at a resolution."""
        latents, priced = self._relaxed(list(self.pyramid.grids), settings, octave)
        picture, known = self._pictures(targets, octave)
        mse = squared_error(self._render(latents, octave), picture, known)
        return mse, self._bits(priced, octave).sum()

    def _on_tile(self, targets: Tensor, settings: Tensor | None, octave: int) -> tuple[Tensor, Tensor]:
        """What ``_on_all`` gives, estimated from the tile of this step: exact on average over a pass."""
        size, margin = (self.height, self.width), len(self.filters)  # a filter looks one row further
        tile, shape = self._tiles.tile(octave, self._step), grid_shape(*size, octave)
        shown = tile.widened(margin, shape)
        bands = self.pyramid.windows(shown, *size, octave)
        parts = self._touched.parts(self.pyramid, tile, bands, self.context.reach, octave)
        latents, priced = self._relaxed([part.latents for part in parts], settings, octave)
        seen = [part.band.of(values) for part, values in zip(parts, latents, strict=True)]
        values = self._values(self.pyramid.interpolate_windows(seen, bands, *size, octave))
        picture, known = self._pictures.part(targets, octave, tile)
        error = (known * (tile.within(shown).of(values) - picture).square()).sum()
        seen = [part.around.of(values) for part, values in zip(parts, priced, strict=True)]
        counted = [part.own.within(part.around) for part in parts]
        bits = self._bits(seen, octave, counted).sum()
        tiles = self._tiles.count(octave)
        return tiles * error / (self.out_features * shape[0] * shape[1]), tiles * bits

    def _bits(
        self, latents: Sequence[Tensor], octave: int, counted: Sequence[Window] | None = None
    ) -> Tensor:
        """Bits of each grid that has its part in steps at a resolution.

        A second hidden layer of the context model joins at the full one, which most bits are of; one that a
        fit begins with, as another signal's file has it, is there from the first step on.
        """
        first = max(0, octave - self.pyramid.finest)
        return self.context(latents, first, counted, second=octave == 0 or bool(self._begun_with_second))

    def begin_step(self, step: int, progress: float) -> list[Moved]:
        """See Network: the number says which tile is next, and whether grids are to be enlarged before."""
        self._step = step
        if self._begun_with_second is None:
            second = self.context.second
            self._begun_with_second = second is not None and bool(second.weight.any())
        moved: list[Moved] = []
        while self._enlarged < self._stages.enlarged(progress):
            moved += self._enlarge()
        return moved

    @torch.no_grad()
    def _enlarge(self) -> list[Moved]:
        """Moves all grids to the next finer ones, and their weights with them."""
        self.pyramid.enlarge(self._stages.coarsest - self._enlarged)
        self._enlarged += 1
        grids = len(self.pyramid.grids)
        order = [*range(1, grids), 0]  # the last one is what was drawn for a grid that has not joined yet
        weights = self._weights_of_grids()
        for weight in weights:
            weight.copy_(weight.roll(-1, -1))
        return [*map(Moved, self.pyramid.grids), *(Moved(weight, order) for weight in weights)]

    def training_state(self) -> dict[str, int]:
        """See Network: how often all grids have been enlarged."""
        return {"enlarged": self._enlarged}

    def load_training_state(self, state: Mapping[str, int]) -> None:
        """See Network; weights of which nothing is known are where they belong."""
        self._enlarged = state.get("enlarged", self._stages.enlargements)

    def partial_gradients(self) -> list[PartialGradient]:
        """See Network: those of the latents of the last step's tile."""
        return self._touched.gradients()

    def progress(self, share: float) -> float:
        """Share of the work that is done after a share of the steps."""
        return self._stages.progress(share)

    def training_stages(self) -> list[TrainingStage]:
        """One for each resolution, and the one of rounded latents."""
        return [
            TrainingStage(
                steps, octave is not None and octave <= self.pyramid.finest, self._tiles.count(octave or 0)
            )
            for octave, steps in self._stages.shares(self.hard_share)
            if steps
        ]

    def _relaxed(
        self, grids: Sequence[Tensor], settings: Tensor | None, octave: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Latents with noise, those of grids finer than a resolution as they are; or rounded for good.

        Values are made of the first ones, and bits counted of the second, which are the same.

        Args:
            grids: Latents of all grids, or parts of them.
            settings: Temperature and spread of each grid that is not finer; None for rounded ones.
            octave: Binary logarithm of the pixels a side at the resolution.
        """
        if settings is None:
            # Through straight gradients latents would chatter between integers, at a quarter more bits.
            rounded = list(torch._foreach_round([grid.detach() for grid in grids]))
            return rounded, rounded
        first = max(0, octave - self.pyramid.finest)
        shown, priced = relaxed(grids[first:], draw_key(settings.device), settings, readers=2)
        return [*grids[:first], *shown], [*grids[:first], *priced]

    def add_integers_to(self, others: Mapping[str, Tensor]) -> None:
        """See Network."""
        self._keep_grids_where_they_are()
        super().add_integers_to(others)

    def add_values_to(self, predicted: Tensor) -> None:
        """See Network; no steps fit weights to rounded latents."""
        self._keep_grids_where_they_are()
        super().add_values_to(predicted)
        self.hard_share = 0.0

    def _keep_grids_where_they_are(self) -> None:
        """The weights are those of another frame, whose grids have been enlarged already."""
        self._stages = Stages(self._coarse_steps, self._tiles.count)

    def learning_rate_factors(self) -> dict[str, float]:
        """Latents move in units of their rounding, and faster."""
        return {"pyramid.grids": self.latent_learning_rate}


def _first_gain(rate_weight: float) -> float:
    """What a latent of the finest grid first adds to the values.

    Its unit is the step of uniform quantization at a slope of λ: squared error step**2 / 12, 6 dB a bit.
    """
    return min(0.1, math.sqrt(12 / (2 * math.log(2)) * rate_weight))


def _check_training(rate_weight: float, hard_share: float, latent_learning_rate: float) -> None:
    for name, value in (("rate_weight", rate_weight), ("latent_learning_rate", latent_learning_rate)):
        if not value > 0:
            raise QuinrError(f"--model.network.{name} {value}: must be positive")
    if not 0 <= hard_share < 1:
        raise QuinrError(f"--model.network.hard_share {hard_share}: must lie between 0 and 1")
