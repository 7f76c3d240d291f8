"""Networks that give the values of a signal."""

from quinr_pl.network.base import CoordinateNetwork, Network, SignalNetwork
from quinr_pl.network.coin import COIN
from quinr_pl.network.latent.latent_quinr import LatentQuINR
from quinr_pl.network.quinr import QuINR

NETWORKS: dict[str, type[Network]] = {"QuINR": QuINR, "COIN": COIN, "LatentQuINR": LatentQuINR}

__all__ = ["COIN", "NETWORKS", "CoordinateNetwork", "LatentQuINR", "Network", "QuINR", "SignalNetwork"]
