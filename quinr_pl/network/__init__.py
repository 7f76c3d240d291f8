"""Networks that give the values of a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quinr_pl.lazy_names import lazy_names
from quinr_pl.registry import Registry

if TYPE_CHECKING:
    from quinr_pl.network.base import CoordinateNetwork, Network, SignalNetwork
    from quinr_pl.network.coin import COIN
    from quinr_pl.network.latent.latent_quinr import LatentQuINR
    from quinr_pl.network.quinr import QuINR

NETWORKS: Registry[int, type[Network]] = Registry(
    "network class",
    "quinr_pl.networks",
    {
        0: "quinr_pl.network.quinr:QuINR",
        1: "quinr_pl.network.coin:COIN",
        2: "quinr_pl.network.latent.latent_quinr:LatentQuINR",
    },
)
"""Classes by their code in files."""

__all__ = ["COIN", "NETWORKS", "CoordinateNetwork", "LatentQuINR", "Network", "QuINR", "SignalNetwork"]

# Decoding needs what lies beside these modules, and not torch, which they import.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "COIN": "quinr_pl.network.coin",
        "CoordinateNetwork": "quinr_pl.network.base",
        "LatentQuINR": "quinr_pl.network.latent.latent_quinr",
        "Network": "quinr_pl.network.base",
        "QuINR": "quinr_pl.network.quinr",
        "SignalNetwork": "quinr_pl.network.base",
    },
)
