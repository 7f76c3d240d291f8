"""One fit, from a config to a file: the one way in for every command that fits."""

from quinr_pl.fitting.api import FitResult, fit

__all__ = ["FitResult", "fit"]
