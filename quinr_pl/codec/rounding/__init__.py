"""Ways of rounding trained weights to levels: one file each, and a line in the registry."""

from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.rounding.registry import ROUNDINGS, as_options, rounding_of

__all__ = ["ROUNDINGS", "Progress", "Rounding", "as_options", "rounding_of", "untold"]
