"""Quantization, entropy coding and the .quinr file."""

from quinr_pl.codec.bitstream import BitstreamError
from quinr_pl.codec.codec import (
    DecodedSignal,
    check_encodable,
    compress,
    decode,
    decompress,
    inspect,
    limits_needed,
)
from quinr_pl.codec.compensated_rounding import CompensatedQuantizer, quantize_compensated
from quinr_pl.codec.encoder import EncodedSignal, encode
from quinr_pl.codec.limits import UNLIMITED, DecodeLimits
from quinr_pl.codec.quantization import Progress, QuantizationConfig, QuantizedNetwork, quantize, untold
from quinr_pl.codec.quantization_aware import QuantizationAwareTraining, QuantizationTraining
from quinr_pl.codec.stepwise_rounding import quantize_stepwise

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
