"""Networks that give the values of a signal."""

from quinr_pl.network.base import CoordinateNetwork, Network, SignalNetwork
from quinr_pl.network.coin import COIN
from quinr_pl.network.latent.latent_quinr import LatentQuINR
from quinr_pl.network.quinr import QuINR
from quinr_pl.registry import Registry

NETWORKS: Registry[int, type[Network]] = Registry(
    "network class",
    "quinr_pl.networks",
    {
        QuINR.CODE: "quinr_pl.network.quinr:QuINR",
        COIN.CODE: "quinr_pl.network.coin:COIN",
        LatentQuINR.CODE: "quinr_pl.network.latent.latent_quinr:LatentQuINR",
    },
)
"""Classes by their code in files."""

__all__ = ["COIN", "NETWORKS", "CoordinateNetwork", "LatentQuINR", "Network", "QuINR", "SignalNetwork"]
