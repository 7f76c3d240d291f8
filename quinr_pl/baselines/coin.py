"""COIN as it was published: full batches, half precision, no header."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class PublishedCOIN:
    """The method of Dupont et al. (2021), by its paper and code.

    Every step sees all pixels; the learning rate stays; the best weights of the second half are kept and
    halved to 16 bits; the file is these weights alone, so that the architecture, the shape and the range
    must be known to the decoder. All coordinates are divided by the size of the first axis less one.

    The decoder computes in single precision, which half precision can only fall short of.

    Args:
        layers: Number of SIREN layers.
        width: Units of each layer.
        steps: Number of Adam's steps.
        learning_rate: Adam's learning rate, the same in all steps.
        omega0: Frequency of every SIREN layer.
        batch_size: Pixels of a step, drawn at random; all of them when left out, as published. With fewer,
            weights are compared over all pixels a hundred times in all.
    """

    layers: int
    width: int
    steps: int = 50_000
    learning_rate: float = 2e-4
    omega0: float = 30.0
    batch_size: int | None = None

    def encode(self, values: npt.NDArray, spec: SignalSpec, seed: int = 0) -> bytes:
        """The weights' bytes, two a weight.

        Args:
            values: The signal, (*shape, channels), of the signal's dtype.
            spec: Shape and range of the values.
            seed: Seed of the initial weights and of the batches.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._network(spec).to(device)
        inputs = coin_coordinates(spec.shape).to(device)
        targets = torch.from_numpy(spec.normalize(values).reshape(spec.pixels, spec.channels)).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        least, best = float("inf"), network.state_dict()
        generator = torch.Generator().manual_seed(seed)
        interval = 1 if self.batch_size is None else max(1, self.steps // 100)
        for step in range(self.steps):
            pixels = self._batch(spec.pixels, generator)
            loss = torch.nn.functional.mse_loss(network(inputs[pixels]), targets[pixels])
            if step >= self.steps // 2 and step % interval == 0:
                error = loss.item()
                if self.batch_size is not None:
                    error = torch.nn.functional.mse_loss(network.evaluate(inputs), targets).item()
                if error < least:
                    least, best = error, copy.deepcopy(network.state_dict())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return b"".join(tensor.half().cpu().numpy().tobytes() for tensor in best.values())

    @torch.no_grad()
    def decode(self, data: bytes, spec: SignalSpec) -> npt.NDArray:
        """The signal of a file.

        Raises:
            QuinrError: If the file has not two bytes for each weight.
        """
        network = self._network(spec)
        if len(data) != 2 * network.parameter_count():
            raise QuinrError(
                f"COIN {self.layers}x{self.width}: {len(data)} bytes for {network.parameter_count()} weights "
                "of two bytes; the file is another network's"
            )
        weights = torch.from_numpy(np.frombuffer(data, np.float16).astype(np.float32))
        torch.nn.utils.vector_to_parameters(weights, network.parameters())
        targets = network.evaluate(coin_coordinates(spec.shape))
        return spec.denormalize(targets.numpy()).reshape(*spec.shape, spec.channels)

    def _batch(self, pixels: int, generator: torch.Generator) -> slice | Tensor:
        if self.batch_size is None:
            return slice(None)
        return torch.randint(pixels, (self.batch_size,), generator=generator)

    def _network(self, spec: SignalSpec) -> COIN:
        return COIN(len(spec.shape), spec.channels, self.layers, self.width, self.omega0)


def coin_coordinates(shape: Sequence[int]) -> Tensor:
    """COIN's coordinates: rows over [-1, 1], columns at the same scale, and so beyond 1 in a wide image.

    Args:
        shape: Size of each axis.

    Returns:
        (pixels, axes) float32, of an image row then column, in row-major order.
    """
    indices = torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij")
    pixel = torch.stack([index.flatten() for index in indices], dim=1).float()
    return 2 * (pixel / max(shape[0] - 1, 1) - 0.5)
