"""The networks that decode without torch, by their code in files."""

from __future__ import annotations

from quinr_pl.network.decoders.protocol import Decoder
from quinr_pl.registry import Registry

DECODERS: Registry[int, type[Decoder]] = Registry(
    "decoder",
    "quinr_pl.decoders",
    {
        0: "quinr_pl.network.decoders.quinr:QuINRDecoder",
        1: "quinr_pl.network.decoders.coin:COINDecoder",
        2: "quinr_pl.network.decoders.latent:LatentDecoder",
    },
)
"""Classes by their code in files. Whatever network has none here decodes by its class in torch."""
