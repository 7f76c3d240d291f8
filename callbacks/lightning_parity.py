"""Holds the engine that trained against lightning.qubit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor, nn

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.circuit.engines.registry import make_engine
from quinr_pl.errors import QuinrError
from quinr_pl.fields import require_at_least
from quinr_pl.network import Network
from quinr_pl.network.layers.quantum_layer import QuantumLayer
from quinr_pl.signals import SignalSpec

_PIXELS = 4096


class LightningParity(Callback):
    """At the end of a fit, runs each circuit by lightning.qubit's adjoint too, on a sample of its inputs.

    Logs the largest difference of values and of gradients, the latter as a share of the largest gradient.
    Where the engine is not exact, there is nothing to compare: it says what the figures of the fit are.

    Args:
        coordinates: Size of the sample; each costs lightning.qubit milliseconds.
        threshold: Largest difference allowed. Float32 over deep circuits stays well below the default.

    Raises:
        QuinrError: If a number is too low, or a difference above the threshold.
    """

    def __init__(self, coordinates: int = 16, threshold: float = 1e-3) -> None:
        require_at_least(1, {"--trainer.callbacks.coordinates": coordinates})
        require_at_least(0, {"--trainer.callbacks.threshold": threshold})
        self.coordinates = coordinates
        self.threshold = threshold
        self.differences: dict[str, float] = {}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares values and gradients of all circuits."""
        network = fitted_network(pl_module)
        layers = network.quantum_layers()
        if not trainer.is_global_zero or not layers:
            return
        for engine in dict.fromkeys(layer.engine for layer in layers):
            if not engine.exact:
                rank_zero_info(
                    f"engine {engine.name} is not exact: lightning.qubit has no say in it. PSNR is that of "
                    "the decoded file, which was decoded exactly"
                )
                return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.differences = compare_engines(network, data.spec, self.coordinates)
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


def compare_engines(network: Network, spec: SignalSpec, count: int) -> dict[str, float]:
    """Largest differences between the engine of a network's circuits and lightning.qubit.

    Args:
        network: Left as it is.
        spec: The signal that it is fitted to.
        count: Size of the sample, of each circuit's inputs for consecutive pixels.

    Returns:
        ``values``: absolute; ``gradients``: as a share of the largest gradient.
    """
    generator = torch.Generator().manual_seed(0)
    reference = make_engine("lightning")
    values, gradients = [0.0], [0.0]
    for layer, (inputs, *rest) in _inputs_of_circuits(network, spec, generator).items():
        rows = inputs.reshape(-1, inputs.shape[-1])
        sample = rows[torch.randint(len(rows), (count,), generator=generator).to(rows.device)]
        found, expected = (
            _values_and_gradients(layer, engine, (sample, *rest)) for engine in (layer.engine, reference)
        )
        values.append(float((found[0] - expected[0]).abs().max()))
        scale = expected[1].abs().max().clamp_min(1e-30)
        gradients.append(float((found[1] - expected[1]).abs().max() / scale))
    return {"values": max(values), "gradients": max(gradients)}


def _inputs_of_circuits(
    network: Network, spec: SignalSpec, generator: torch.Generator
) -> dict[QuantumLayer, tuple[Any, ...]]:
    """What each circuit is called with for a run of pixels of the signal, its inputs (pixels, k) first."""
    seen: dict[QuantumLayer, tuple[Any, ...]] = {}

    def remember(layer: nn.Module, arguments: tuple[Any, ...], _: Tensor) -> None:
        assert isinstance(layer, QuantumLayer)
        seen[layer] = arguments

    handles = [layer.register_forward_hook(remember) for layer in network.quantum_layers()]
    start = int(torch.randint(max(1, spec.pixels - _PIXELS), (), generator=generator))
    try:
        with torch.no_grad():
            network.signal(start, min(start + _PIXELS, spec.pixels), spec.shape)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _values_and_gradients(
    layer: QuantumLayer, engine: Engine, arguments: Sequence[Any]
) -> tuple[Tensor, Tensor]:
    """Values of a circuit run by an engine, and all gradients of a random linear function of them, flat."""
    before, inputs = layer.engine, arguments[0].clone().requires_grad_()
    modules = [layer, *(part for part in arguments if isinstance(part, nn.Module))]
    leaves = [inputs, *(parameter for module in modules for parameter in module.parameters())]
    layer.engine = engine
    try:
        with torch.enable_grad():
            values = layer(inputs, *arguments[1:])
            cotangent = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
            gradients = torch.autograd.grad(values, leaves, cotangent, allow_unused=True)
    finally:
        layer.engine = before
    return values.detach(), torch.cat([part.flatten() for part in gradients if part is not None])
