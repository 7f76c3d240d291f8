"""Networks that map coordinates to values."""

from quinr_pl.network.coordinate_network import CoordinateNetwork

__all__ = ["CoordinateNetwork"]
