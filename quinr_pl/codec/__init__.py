"""Quantization, entropy coding and the .quinr file."""

from quinr_pl.codec.bitstream import BitstreamError
from quinr_pl.codec.codec import (
    DecodedSignal,
    DecodeLimits,
    EncodedSignal,
    compress,
    decode,
    decompress,
    encode,
    inspect,
)
from quinr_pl.codec.quantization import QuantizationConfig, QuantizedNetwork, quantize

__all__ = [
    "BitstreamError",
    "DecodeLimits",
    "DecodedSignal",
    "EncodedSignal",
    "QuantizationConfig",
    "QuantizedNetwork",
    "compress",
    "decode",
    "decompress",
    "encode",
    "inspect",
    "quantize",
]
