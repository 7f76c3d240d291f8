"""quINR for PyTorch Lightning: a signal becomes coordinates, a fitted network, and a file.

Nothing heavy is imported here, so that ``quinr-pl --help`` answers at once.
"""

from quinr_pl._version import __version__

__all__ = ["__version__"]
