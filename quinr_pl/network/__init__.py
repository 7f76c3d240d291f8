"""Networks that map coordinates to values."""

from quinr_pl.network.coin import COIN
from quinr_pl.network.coordinate_network import CoordinateNetwork
from quinr_pl.network.quinr import QuINR

NETWORKS: dict[str, type[CoordinateNetwork]] = {"QuINR": QuINR, "COIN": COIN}

__all__ = ["COIN", "NETWORKS", "CoordinateNetwork", "QuINR"]
