"""Holds the engine that trained against lightning.qubit."""

from __future__ import annotations

import copy
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network


class LightningParity(Callback):
    """At the end of a fit, sends a sample of coordinates through lightning.qubit's adjoint as well.

    Logs the largest difference of values and of gradients of the mean squared error, the latter as a
    share of the largest gradient.

    Args:
        coordinates: Size of the sample; each costs lightning.qubit milliseconds.
        threshold: Largest difference allowed. Float32 over deep circuits stays well below the default.

    Raises:
        QuinrError: If a difference is above the threshold.
    """

    def __init__(self, coordinates: int = 16, threshold: float = 1e-3) -> None:
        self.coordinates = coordinates
        self.threshold = threshold
        self.differences: dict[str, float] = {}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares."""
        network = fitted_network(pl_module)
        if not trainer.is_global_zero or network.whole_signal or not network.quantum_layers():
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        generator = torch.Generator().manual_seed(0)
        counted = torch.from_numpy(data.spec.counted_pixels())
        sample = counted[torch.randint(len(counted), (self.coordinates,), generator=generator)]
        drawn = (tensor[sample].to(pl_module.dtype) for tensor in (data.coordinates, data.targets))
        self.differences = compare_engines(network, *drawn)
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"parity/{name}": value for name, value in self.differences.items()}, trainer.global_step
            )
        for name, value in self.differences.items():
            if not value <= self.threshold:
                raise QuinrError(
                    f"--model.network.engine: its {name} differ from lightning.qubit's by {value:.2g}, "
                    f"above the threshold {self.threshold:.2g}; fit with --model.network.engine lightning"
                )
        rank_zero_info(
            "lightning.qubit agrees: values within {values:.1e}, gradients within {gradients:.1e}".format(
                **self.differences
            )
        )


def compare_engines(network: Network, coordinates: Tensor, targets: Tensor) -> dict[str, float]:
    """Largest differences between a network's engine and lightning.qubit.

    Args:
        network: Left as it is.
        coordinates: (sample, in_features).
        targets: (sample, out_features).

    Returns:
        ``values``: absolute; ``gradients``: as a share of the largest gradient.
    """
    values, gradients = _values_and_gradients(copy.deepcopy(network).cpu(), coordinates, targets)
    reference = copy.deepcopy(network).cpu()
    for circuit in reference.quantum_layers():
        circuit.engine = "lightning"
    expected, expected_gradients = _values_and_gradients(reference, coordinates, targets)
    scale = expected_gradients.abs().max().clamp_min(1e-30)
    return {
        "values": float((values - expected).abs().max()),
        "gradients": float((gradients - expected_gradients).abs().max() / scale),
    }


def _values_and_gradients(network: Network, coordinates: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        values = network(coordinates)
        loss = torch.nn.functional.mse_loss(values, targets)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, trained)
    return values.detach(), torch.cat([gradient.flatten() for gradient in gradients])
