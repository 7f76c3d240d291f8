"""Steers what a bit costs within a fit, so that its file has the size or the quality asked for."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import find_quantization, fitted_network
from quinr_pl.codec.file.encoder import mask_bytes
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.signals import SignalSpec

_HEADER_BYTES = 32
_BITS_PER_WEIGHT, _PRICE, _BITS_PER_OCTAVE = 5.7, 2.0**-25, 0.1
_BITS_PER_DIFFERENCE = 3.7  # of weights to those of another frame: scans in a row, at 0.2 bits a pixel
_MEASUREMENTS = 100
_SETTLING = 0.1  # share of the steered steps in which a deviation moves the level of ln(λ) by itself
_HALVING = 30.0  # passes in which latents have followed λ by half
_LONGEST_INTERVAL = 15  # of them between measurements
_URGENCY = 4.0  # for how much a deviation moves ln(λ) at once, over the share that is left to undo it
_SWIFTEST = 1.5  # of that, where latents can follow: bits go with λ^-0.5, and from 4 on λ would swing
_LEAP = 1.5
_STEERED = 0.92  # of these steps: at the end of their schedule latents follow no more
_FAR = 0.5
_TRUSTED = 0.25  # share of the steered steps before which bits say less: finer grids have only just joined
_ROUNDING_DB = 0.12  # what the rounding of weights costs, and a little to trim
_LOWEST, _HIGHEST = 1e-7, 1.0


class RateControl(Callback):
    """Moves ``network.rate_weight`` (λ) on a logarithmic scale toward an asked size or quality.

    It begins with the network's own ``rate_weight`` where all integers take part in the training, measures
    the rounded integers by the network's own estimate now and then, expects what the rest of the training
    will still change, moves λ the more strongly the less of it is left (a proportional-integral controller),
    and leaves λ alone before the integers do not follow it any more. The final rounding of
    WeightQuantization is given the same target and does the rest. One of the arguments is given.

    Args:
        bpp: Bits for each pixel of the file, at most.
        most_bytes: Size of the file, at most.
        psnr: dB of the decoded file, at least.
        bias: How far above the target training is steered, in ln of the integers' bits or of the inverse
            error, where the final rounding is known to miss it.

    Raises:
        QuinrError: If not one of them is given, or it is not positive.
    """

    def __init__(
        self,
        bpp: float | None = None,
        most_bytes: int | None = None,
        psnr: float | None = None,
        bias: float = 0.0,
    ) -> None:
        asked = {"bpp": bpp, "most_bytes": most_bytes, "psnr": psnr}
        given = {name: value for name, value in asked.items() if value is not None}
        if len(given) != 1:
            told = " and ".join(given) or "nothing asked for"
            raise QuinrError(f"--trainer.callbacks RateControl with {told}: give one of {', '.join(asked)}")
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise QuinrError(f"--trainer.callbacks.{name} {value}: must be a positive number")
        self.bpp, self.most_bytes, self.psnr, self.bias = bpp, most_bytes, psnr, bias
        self._weight: float | None = None
        self._level = 0.0  # of λ, without what a deviation moves it by at once

    def state_dict(self) -> dict[str, Any]:
        """Where λ is, and its level."""
        return {"rate_weight": self._weight, "level": self._level}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier fit."""
        self._weight = state_dict["rate_weight"]
        self._level = state_dict.get("level", self._weight)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gives the target to the final rounding, and an earlier fit's λ to the network.

        Raises:
            QuinrError: If the network does not weigh its rate.
        """
        network = fitted_network(pl_module)
        if not network.rate_weight > 0:
            raise QuinrError(
                f"--trainer.callbacks RateControl: {type(network).__name__} has no rate_weight to steer; "
                "leave the callback out"
            )
        if self._weight is None:
            self._weight = self._level = network.rate_weight
        network.rate_weight = self._weight
        quantization = find_quantization(trainer, self)
        way = quantization.final or quantization.quantization
        quantization.final = way.within(self._most_bytes(trainer), self.psnr)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Measures, and moves λ."""
        steps = trainer.estimated_stepping_batches
        network = fitted_network(pl_module)
        begin, end, tiles = steered_part(network)
        if math.isinf(steps) or not steps * begin < trainer.global_step < steps * end:
            return
        steered = (end - begin) * steps
        interval = max(1, round(min(steered / _MEASUREMENTS, _LONGEST_INTERVAL * tiles)))
        if trainer.global_step % interval:
            return
        share = (trainer.global_step / steps - begin) / (end - begin)
        excess = self._excess(trainer, pl_module, batch, share) - self.bias
        if share > _STEERED:
            return
        excess = min(max(excess, -_FAR), _FAR) * min(1.0, share / _TRUSTED)
        gain = interval / (steered * _SETTLING)
        self._level = _bounded(self._level * math.exp(gain * excess))
        # Latents follow the more slowly the lower their learning rate: a level alone would come too late.
        followed = 1 - 0.5 ** ((1 - share) * steered / tiles / _HALVING)
        at_once = excess * min(_URGENCY * share / (1 - share), _SWIFTEST / followed)
        self._weight = _bounded(self._level * math.exp(min(max(at_once, -_LEAP), _LEAP)))
        network.rate_weight = self._weight
        pl_module.log("rate/weight", self._weight)

    def _most_bytes(self, trainer: pl.Trainer) -> int | None:
        if self.bpp is None:
            return self.most_bytes
        pixels = trainer.datamodule.spec.pixels  # type: ignore[attr-defined]
        return int(self.bpp * pixels / 8)

    @torch.no_grad()
    def _excess(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, share: float) -> float:
        """How far the file would be above its size, or below its quality, on a logarithmic scale."""
        network = fitted_network(module)
        spec = trainer.datamodule.spec  # type: ignore[attr-defined]
        size = _HEADER_BYTES + mask_bytes(spec) + _weights_bytes(network, spec)
        latents = float(network.integer_bits()) / 8 / _shrinking(share)
        module.log("rate/expected_bytes", size + latents)
        most_bytes = self._most_bytes(trainer)
        if most_bytes is not None:
            return math.log(latents + 1) - math.log(max(most_bytes - size, 0.1 * most_bytes))
        assert self.psnr is not None
        coordinates, targets = batch
        error = float(squared_error(network(coordinates).clamp(0, 1), targets))
        psnr = -10 * math.log10(max(error, 1e-12)) + _improving(share) - _ROUNDING_DB
        return math.log(10) / 10 * (psnr - self.psnr)


def steered_part(network: Network) -> tuple[float, float, int]:
    """Where ``rate_weight`` moves what the file will take.

    Returns:
        The shares of the steps between which it does, and the most steps that see the signal once there.
    """
    begin, end, done, tiles = 1.0, 0.0, 0.0, 1
    for stage in network.training_stages():
        if stage.steered:
            begin, end = min(begin, done), done + stage.steps
            tiles = max(tiles, stage.tiles)
        done += stage.steps
    return begin, end, tiles


def _weights_bytes(network: Network, spec: SignalSpec) -> float:
    """What the rounding will leave of the weights: the finer, the less a bit costs against the error."""
    if spec.reference is not None:
        return network.parameter_count() * _BITS_PER_DIFFERENCE / 8
    price = network.rate_weight / spec.pixels
    bits = _BITS_PER_WEIGHT - _BITS_PER_OCTAVE * math.log2(price / _PRICE)
    return network.parameter_count() * bits / 8


def _bounded(rate_weight: float) -> float:
    return min(max(rate_weight, _LOWEST), _HIGHEST)


def _shrinking(share: float) -> float:
    """Bits of integers after a share of the steered steps, in units of those at the end at the same λ.

    As latent fits of 1,200 steps on photographs at 0.2 and 0.4 bits a pixel have it.
    """
    return 1 + 0.3 * (1 - share) ** 3 + 0.03 * (1 - share)


def _improving(share: float) -> float:
    """What the rest of the training adds in dB after a share of the steered steps, in the same fits."""
    return 1.15 * (1 - share) ** 1.5
