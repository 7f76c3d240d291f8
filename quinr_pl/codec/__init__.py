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
from quinr_pl.codec.quantized import Progress, QuantizationConfig, QuantizedNetwork, quantize, untold
from quinr_pl.codec.rounding.aware import QuantizationAwareTraining, QuantizationTraining
from quinr_pl.codec.rounding.compensated import CompensatedQuantizer, quantize_compensated
from quinr_pl.codec.rounding.stepwise import quantize_stepwise

__all__ = [
    "UNLIMITED",
    "BitstreamError",
    "CompensatedQuantizer",
    "DecodeLimits",
    "DecodedSignal",
    "EncodedSignal",
    "Progress",
    "QuantizationAwareTraining",
    "QuantizationConfig",
    "QuantizationTraining",
    "QuantizedNetwork",
    "check_encodable",
    "compress",
    "decode",
    "decompress",
    "encode",
    "inspect",
    "limits_needed",
    "quantize",
    "quantize_compensated",
    "quantize_stepwise",
    "untold",
]
