"""Crops of photographs, and short fits of latent networks to them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from quinr_pl.commands.estimate import Jpeg2000Curve
from quinr_pl.commands.plans import NETWORKS
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import LatentQuINR
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

HEIGHT, WIDTH = 256, 384
PHOTOGRAPH = 512 * 768
SHARE = HEIGHT * WIDTH / PHOTOGRAPH
"""Of the pixels of a photograph, whose weights a crop's stand for."""
GRIDS = 7
_SCALED_WIDTH = 1000
_OF_CONFIG: dict[str, Any] = {  # as compress.yaml
    "learning_rate": 1e-2,
    "optimizer": "soap",
    "betas": (0.95, 0.95),
    "latent_betas": (0.9, 0.99),
    "precondition_frequency": 5,
    "weight_decay": 0.1,
    "warmup_steps": 50,
    "final_learning_rate": 0.005,
}


@dataclass(frozen=True)
class Crop:
    """The middle of a photograph that is scaled to a width of 1,000 pixels.

    Args:
        name: Of the photograph.
        values: (HEIGHT, WIDTH, 3), 8 bits each.
        draw: Number of the draw of its fits' first weights.
    """

    name: str
    values: npt.NDArray[np.uint8]
    draw: int = 0

    @classmethod
    def of(cls, path: Path) -> Crop:
        """The crop of a photograph's file."""
        with Image.open(path) as image:
            picture = image.convert("RGB")
        if picture.width > _SCALED_WIDTH:
            height = round(picture.height * _SCALED_WIDTH / picture.width)
            picture = picture.resize((_SCALED_WIDTH, height), Image.Resampling.LANCZOS)
        left, top = (picture.width - WIDTH) // 2, (picture.height - HEIGHT) // 2
        return cls(path.stem, np.asarray(picture.crop((left, top, left + WIDTH, top + HEIGHT))))

    @property
    def seed(self) -> int:
        """Of the weights of its fits."""
        return (zlib.crc32(self.name.encode()) & 0xFFFF) + self.draw

    @property
    def spec(self) -> SignalSpec:
        """The signal."""
        return SignalSpec.of(IMAGE_8, self.values)

    def rate_weight(self, bpp: float) -> float:
        """λ at which a fit comes to about a rate."""
        return Jpeg2000Curve(self.values, self.spec).rate_weight(bpp)

    def targets(self) -> torch.Tensor:
        """(pixels, 3) in [0, 1]."""
        return torch.from_numpy(self.values.reshape(-1, 3).astype(np.float32) / 255)


def network_for(bpp: float, rate_weight: float, seed: int, **others: int) -> LatentQuINR:
    """The network that `compress --effort 1` takes for a photograph at a rate, at the size of a crop.

    Args:
        bpp: Bits for each pixel, about.
        rate_weight: λ.
        seed: Of its weights.
        others: Arguments of the network in place of those that `compress` takes.
    """
    size = bpp / 8 * HEIGHT * WIDTH / SHARE
    sized = next(n for n in NETWORKS if n.suits(size, bpp, effort=1))
    return network_of((HEIGHT, WIDTH), rate_weight, seed, **{**sized.arguments, **others})


def network_of(shape: Sequence[int], rate_weight: float, seed: int, **arguments: Any) -> LatentQuINR:
    """A latent network for a crop, with the stages of all fits of crops.

    Args:
        shape: Rows and columns.
        rate_weight: λ.
        seed: Of its weights.
        arguments: Further ones of the network.
    """
    torch.manual_seed(seed)
    height, width = shape
    stages: dict[str, Any] = {"finest": 0, "grids": GRIDS, "coarse_steps": (0.2, 0.35)}
    settings = {**stages, "rate_weight": rate_weight, "latent_learning_rate": 10.0, **arguments}
    return LatentQuINR(height=height, width=width, **settings)


def train(network: LatentQuINR, crop: Crop, steps: int, **settings: Any) -> dict[str, float]:
    """Fits a network as `compress` does, at a fixed λ and without a choice of starts.

    Returns:
        Mean squared error and bits for each pixel of the last step, whose latents are rounded.
    """
    module = CoordinateNetworkModule(network, **{**_OF_CONFIG, **settings})
    optimizer, targets = module.make_optimizer(), crop.targets()
    places = coordinates(crop.spec.shape)
    rates = [group["lr"] for group in optimizer.param_groups]
    figures: Mapping[str, torch.Tensor] = {}
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * module.learning_rate_factor(step, steps)
        progress = module.begin_step(optimizer, step, steps)
        loss, figures = network.loss(places, targets, progress)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: float(value) for name, value in figures.items()}
