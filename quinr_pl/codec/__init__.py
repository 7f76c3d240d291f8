"""Quantization, entropy coding and the .quinr file."""

from quinr_pl.codec.api import (
    DecodedSignal,
    check_encodable,
    compress,
    decode,
    decompress,
    inspect,
    limits_needed,
)
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.file.encoder import EncodedSignal, encode
from quinr_pl.codec.file.limits import UNLIMITED, DecodeLimits
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
