"""Networks that map coordinates to values."""

from quinr_pl.network.base import CoordinateNetwork
from quinr_pl.network.coin import COIN
from quinr_pl.network.latent.latent_quinr import LatentQuINR
from quinr_pl.network.quinr import QuINR

NETWORKS: dict[str, type[CoordinateNetwork]] = {"QuINR": QuINR, "COIN": COIN, "LatentQuINR": LatentQuINR}

__all__ = ["COIN", "NETWORKS", "CoordinateNetwork", "LatentQuINR", "QuINR"]
