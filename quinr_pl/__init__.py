"""quINR for PyTorch Lightning: a signal becomes coordinates, a fitted network, and a file.

Nothing heavy is imported here, so that ``quinr-pl --help`` answers at once: what the package offers is
loaded when it is first asked for.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from quinr_pl._version import __version__
from quinr_pl.lazy_names import lazy_names

if TYPE_CHECKING:
    from quinr_pl.arrays import compress
    from quinr_pl.codec import decompress
    from quinr_pl.fit_status import FitStatus
    from quinr_pl.fitting import fit
    from quinr_pl.network.layers.quantum_layer import QuantumLayer

__all__ = ["FitStatus", "QuantumLayer", "__version__", "compress", "decompress", "fit"]

_HOMES = {
    "compress": "quinr_pl.arrays",
    "decompress": "quinr_pl.codec",
    "fit": "quinr_pl.fitting",
    "FitStatus": "quinr_pl.fit_status",
    "QuantumLayer": "quinr_pl.network.layers.quantum_layer",
}

_HERE = os.path.dirname(os.path.abspath(__file__))
_CLONE = os.path.dirname(_HERE)
# In a clone three of the folders lie beside the package, and belong to it, whatever is installed elsewhere.
if not os.path.isdir(os.path.join(_HERE, "callbacks")) and os.path.isdir(os.path.join(_CLONE, "callbacks")):
    __path__.append(_CLONE)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
