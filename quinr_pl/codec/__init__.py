"""Quantization, entropy coding and the .quinr file."""

from quinr_pl.codec.bitstream import BitstreamError
from quinr_pl.codec.codec import DecodedSignal, DecodeLimits, compress, decode, decompress, inspect
from quinr_pl.codec.compensated_rounding import CompensatedQuantizer, quantize_compensated
from quinr_pl.codec.encoder import EncodedSignal, encode
from quinr_pl.codec.quantization import QuantizationConfig, QuantizedNetwork, quantize

__all__ = [
    "BitstreamError",
    "CompensatedQuantizer",
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
    "quantize_compensated",
]
