"""The optimizer of a fit: which parameters go together, at which learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from quinr_pl.network import Network
from quinr_pl.training.adam import Adam
from quinr_pl.training.lazy_adam import LazyAdam
from quinr_pl.training.soap import SOAP

OptimizerKind = Literal["adam", "soap"]


@dataclass(frozen=True)
class OptimizerSettings:
    """What makes the optimizer of a network; see `CoordinateNetworkModule` for each.

    Args:
        kind: "adam" or "soap".
        learning_rate: At its peak.
        betas: Decay rates of the moment estimates of weights.
        latent_betas: Those of latents.
        precondition_frequency: Steps between SOAP's eigenbases.
        weight_decay: Of weights of hidden features.
    """

    kind: OptimizerKind
    learning_rate: float
    betas: tuple[float, float]
    latent_betas: tuple[float, float]
    precondition_frequency: int
    weight_decay: float

    def optimizer(self, network: Network) -> torch.optim.Optimizer:
        """The optimizer of a network, at its peak learning rate."""
        groups = self.groups(network)
        optimizer: torch.optim.Optimizer
        if self.kind == "soap":
            optimizer = SOAP(groups, betas=self.betas, precondition_frequency=self.precondition_frequency)
        else:
            optimizer = Adam(groups, self.betas)
        optimizer.register_step_post_hook(LazyAdam(network))
        return optimizer

    def groups(self, network: Network) -> list[dict[str, Any]]:
        """Parameters of equal learning rate and weight decay, weights apart from latents."""
        groups: dict[tuple[float, bool, bool], list[torch.nn.Parameter]] = {}
        factors = network.learning_rate_factors()
        decayed = {id(weight) for weight in network.feature_weights()}
        weights = {id(weight) for weight in network.weights().values()}
        for name, parameter in network.named_parameters():
            factor = next((f for prefix, f in factors.items() if name.startswith(prefix)), 1.0)
            key = factor, id(parameter) in decayed, id(parameter) in weights
            groups.setdefault(key, []).append(parameter)
        # A grid is no linear map, and its sides are hundreds: SOAP leaves its elements apart.
        latent = {"betas": self.latent_betas, "max_precondition_dim": 1}
        return [
            {
                "params": parameters,
                "lr": factor * self.learning_rate,
                "weight_decay": self.weight_decay if shrinks else 0.0,
                **({} if is_weight else latent),
            }
            for (factor, shrinks, is_weight), parameters in groups.items()
        ]
