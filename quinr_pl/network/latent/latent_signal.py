"""The values of a signal from a pyramid of integers: what a latent network computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from quinr_pl.circuit.engines.registry import EngineLike
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Value
from quinr_pl.network.base import SignalNetwork
from quinr_pl.network.decoders.latent import LatentFormat
from quinr_pl.network.latent.context_model import ContextModel
from quinr_pl.network.latent.pyramid import LatentPyramid
from quinr_pl.network.latent.synthesis import CircuitSynthesis, make_synthesis
from quinr_pl.network.layers.filters import filtered
from quinr_pl.network.layers.plain_modules import is_plain, linear_of_columns


class LatentSignal(LatentFormat, SignalNetwork):
    """Values of a signal from latent grids, and the model that prices these; `LatentQuINR` trains both.

    Args:
        angle_scale: See `LatentQuINR`.
        gain: What a latent of the finest grid begins by adding to the values.
        band_pixels: Where no gradients are wanted, values are computed for about as many pixels at a time.
        engine: What runs the circuit.
        architecture: The fields of the file.

    Attributes:
        predicted: Values that those of the network are added to, (pixels, out_features), where there are any.
    """

    fixed_point_layers = ("context.hidden", "context.second", "context.output", "context.grid")

    def __init__(
        self, *, angle_scale: float, gain: float, band_pixels: int, engine: EngineLike, **architecture: Value
    ) -> None:
        super().__init__(angle_scale=angle_scale, **architecture)
        sizes: Mapping[str, Any] = architecture
        grids, out_features = sizes["grids"], sizes["out_features"]
        self.height, self.width = sizes["height"], sizes["width"]
        self._band_pixels = band_pixels
        self.pyramid = LatentPyramid(self.height, self.width, sizes["finest"], grids, sizes["upsampling"])
        # A latent of the next grid is seen on four times the pixels: half the step gives an equal error.
        units = 0.5 ** torch.arange(grids)
        self.synthesis = make_synthesis(
            sizes["synthesis"], grids, out_features, self.ansatz, angle_scale, engine, units
        )
        self.skip = nn.Linear(grids, out_features, bias=False)
        # Pictures are mostly gray: what is alike in all channels need not be learned first.
        nn.init.normal_(self.skip.weight, mean=gain, std=0.1 * gain)
        self.skip.weight.data.mul_(units)
        self.filters = nn.ModuleList(
            nn.Conv2d(out_features, out_features, 3) for _ in range(sizes["filters"])
        )
        for parameter in self.filters.parameters():
            nn.init.zeros_(parameter)
        self.context = ContextModel(
            grids, sizes["neighbours"], sizes["context_width"], sizes["context_layers"]
        )
        self.predicted: Tensor | None
        self.register_buffer("predicted", None, persistent=False)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Values of the whole signal with rounded latents: (pixels, in_features) -> (pixels, out_features).

        Raises:
            QuinrError: If it is asked for less.
        """
        self._check_whole(coordinates)
        if not torch.is_grad_enabled():
            return self.signal(0, len(coordinates), (self.height, self.width))
        return self._with_predicted(self._render(self.pyramid.rounded(), 0).flatten(1).T)

    def _check_whole(self, coordinates: Tensor) -> None:
        pixels = self.height * self.width
        if len(coordinates) != pixels:
            raise QuinrError(
                f"--data.batch_size: LatentQuINR takes all {pixels} pixels at once, not {len(coordinates)}; "
                "give null"
            )

    def signal(self, start: int, stop: int, shape: tuple[int, ...]) -> Tensor:
        """See Network: works on whole rows, and where no gradients are wanted on bands of them."""
        width = self.width
        first, last = start // width, -(-stop // width)
        band = last - first if torch.is_grad_enabled() else max(1, self._band_pixels // width)
        parts = [self._pixels(row, min(row + band, last)) for row in range(first, last, band)]
        values = parts[0] if len(parts) == 1 else torch.cat(parts)
        return self._with_predicted(values[start - first * width : stop - first * width], start)

    def _with_predicted(self, values: Tensor, start: int = 0) -> Tensor:
        """Values of the pixels from ``start`` on, with those that they are added to where there are any."""
        return values if self.predicted is None else values + self.predicted[start : start + len(values)]

    def _pixels(self, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` of the signal with rounded latents, (pixels, out_features)."""
        margin = len(self.filters)  # each looks one row further
        top, bottom = max(0, first - margin), min(self.height, last + margin)
        features = self.pyramid.interpolate_rows(top, bottom, self.height, self.width)
        values = self._values(features)[:, first - top : last - top]
        return values.flatten(1).T

    def _render(self, grids: Sequence[Tensor], octave: int) -> Tensor:
        """Values of all rows at a resolution, (out_features, rows, columns)."""
        return self._values(self.pyramid.interpolate(grids, self.height, self.width, octave))

    def _values(self, features: Tensor) -> Tensor:
        """(grids, rows, columns) -> (out_features, rows, columns): what is added to predicted values."""
        values = self._synthesized(features)
        if self.predicted is None:
            return values
        return values - self._synthesized(features.new_zeros(len(features), 1, 1))

    def _synthesized(self, features: Tensor) -> Tensor:
        """(grids, rows, columns) -> (out_features, rows, columns)."""
        flat = features.flatten(1)  # (grids, pixels)
        if is_plain(self.skip, nn.Linear):
            values = self.synthesis(flat, self.skip.weight)
        else:
            values = self.synthesis(flat) + linear_of_columns(self.skip, flat)
        values = values.reshape(self.out_features, *features.shape[1:])
        return filtered(values, list(self.filters))

    def feature_weights(self) -> list[nn.Parameter]:
        """Those of latents and of what the synthesis and the context model make of them."""
        kept = ("synthesis.", "skip.", "context.")
        periodic = self.parameter_periods()
        return [
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith(kept) and name.endswith(".weight") and name not in periodic
        ]

    def integers(self) -> dict[str, nn.Parameter]:
        """The latents, the finest grid first."""
        return {f"pyramid.grids.{index}": grid for index, grid in enumerate(self.pyramid.grids)}

    def add_integers_to(self, others: Mapping[str, Tensor]) -> None:
        """See Network."""
        self.pyramid.follow([others[name].to(grid) for name, grid in self.integers().items()])

    def add_values_to(self, predicted: Tensor) -> None:
        """See Network."""
        self.predicted = predicted.to(self.skip.weight)

    def context_model(self) -> ContextModel:
        """The model that prices the latents."""
        return self.context

    def integer_bits(self) -> Tensor:
        """Bits of all latents under the present context model."""
        return self.context(self.pyramid.rounded()).double().sum()

    def parameter_periods(self) -> dict[str, Tensor]:
        """Biases of the embedding and rotations of the entangling layers are periodic."""
        if not isinstance(self.synthesis, CircuitSynthesis):
            return {}
        rotations = torch.as_tensor(self.ansatz.weight_periods, dtype=torch.float32)
        bias = torch.tensor(self.synthesis.embedding.bias_period)
        return {"synthesis.embedding.bias": bias, "synthesis.circuit.weight": rotations}
