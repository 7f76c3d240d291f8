"""Quantization, entropy coding and the .quinr file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quinr_pl.lazy_names import lazy_names

if TYPE_CHECKING:
    from quinr_pl.codec.api import check_encodable, compress
    from quinr_pl.codec.decoding import DecodedSignal, decode, limits_needed
    from quinr_pl.codec.file.container import BitstreamError
    from quinr_pl.codec.file.encoder import EncodedSignal, encode
    from quinr_pl.codec.file.limits import UNLIMITED, DecodeLimits
    from quinr_pl.codec.frames import Frames, decompress, inspect
    from quinr_pl.codec.quantized import QuantizedNetwork
    from quinr_pl.codec.rounding.aware import QuantizationAwareTraining, QuantizationTraining
    from quinr_pl.codec.rounding.compensated import Compensated
    from quinr_pl.codec.rounding.nearest import Nearest
    from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
    from quinr_pl.codec.rounding.registry import ROUNDINGS, rounding_of
    from quinr_pl.codec.rounding.searched import Searched
    from quinr_pl.codec.rounding.stepwise import Stepwise

__all__ = [
    "ROUNDINGS",
    "UNLIMITED",
    "BitstreamError",
    "Compensated",
    "DecodeLimits",
    "DecodedSignal",
    "EncodedSignal",
    "Frames",
    "Nearest",
    "Progress",
    "QuantizationAwareTraining",
    "QuantizationTraining",
    "QuantizedNetwork",
    "Rounding",
    "Searched",
    "Stepwise",
    "check_encodable",
    "compress",
    "decode",
    "decompress",
    "encode",
    "inspect",
    "limits_needed",
    "rounding_of",
    "untold",
]

# Rounding needs torch, and decoding none.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BitstreamError": "quinr_pl.codec.file.container",
        "Compensated": "quinr_pl.codec.rounding.compensated",
        "DecodeLimits": "quinr_pl.codec.file.limits",
        "DecodedSignal": "quinr_pl.codec.decoding",
        "EncodedSignal": "quinr_pl.codec.file.encoder",
        "Frames": "quinr_pl.codec.frames",
        "Nearest": "quinr_pl.codec.rounding.nearest",
        "Progress": "quinr_pl.codec.rounding.protocol",
        "QuantizationAwareTraining": "quinr_pl.codec.rounding.aware",
        "QuantizationTraining": "quinr_pl.codec.rounding.aware",
        "QuantizedNetwork": "quinr_pl.codec.quantized",
        "ROUNDINGS": "quinr_pl.codec.rounding.registry",
        "Rounding": "quinr_pl.codec.rounding.protocol",
        "Searched": "quinr_pl.codec.rounding.searched",
        "Stepwise": "quinr_pl.codec.rounding.stepwise",
        "UNLIMITED": "quinr_pl.codec.file.limits",
        "check_encodable": "quinr_pl.codec.api",
        "compress": "quinr_pl.codec.api",
        "decode": "quinr_pl.codec.decoding",
        "decompress": "quinr_pl.codec.frames",
        "encode": "quinr_pl.codec.file.encoder",
        "inspect": "quinr_pl.codec.frames",
        "limits_needed": "quinr_pl.codec.decoding",
        "rounding_of": "quinr_pl.codec.rounding.registry",
        "untold": "quinr_pl.codec.rounding.protocol",
    },
)
