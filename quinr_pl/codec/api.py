"""From a trained network to a file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from quinr_pl.codec.decoding import decode
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.file.encoder import EncodedSignal, encode
from quinr_pl.codec.file.limits import UNLIMITED
from quinr_pl.codec.rounding.nearest import Nearest
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.errors import QuinrError
from quinr_pl.native.threads import native_threads
from quinr_pl.network import Network
from quinr_pl.signals import SignalSpec


def compress(
    network: Network,
    spec: SignalSpec,
    rounding: Rounding | None = None,
    targets: Tensor | None = None,
    progress: Progress = untold,
    extras: Mapping[str, Any] | None = None,
) -> EncodedSignal:
    """Quantize a trained network and encode it.

    Args:
        network: A trained network; it is not changed.
        spec: The signal.
        rounding: How its weights are rounded; each to its nearest level when left out.
        targets: Values in [0, 1], (pixels, channels), for the ways of rounding that need them.
        progress: Told how far the rounding is.
        extras: What sections of other packages are to hold, by the section's name.

    Raises:
        QuinrError: If a weight is not finite, the format cannot hold the network, or targets are missing.
    """
    rounding = rounding or Nearest()
    if any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        # Decoders compute in single precision: rounding is judged by what they will see.
        network = copy.deepcopy(network).float()
    rounding.check(network)
    with native_threads():  # the last digits of LAPACK depend on the threads of torch, and a file must not
        quantized = rounding.quantize(network, spec, targets, progress)
    return encode(quantized, spec, extras)


def check_encodable(network: Network, spec: SignalSpec, *roundings: Rounding) -> None:
    """Makes sure that a network has a file and that it can be decoded, whatever its weights are fitted to.

    Args:
        network: Before it is trained.
        spec: The signal.
        roundings: How its weights will be rounded.

    Raises:
        QuinrError: If the format or the rounding leave the network out, or the decoder refuses its file.
    """
    for rounding in roundings:
        rounding.check(network)
    try:
        data = encode(Nearest().quantize(network, spec), spec).data
        decode(data, limits=UNLIMITED, reference=spec.reference)
    except BitstreamError as error:
        raise QuinrError(f"--model.network: its file could not be decoded, {error}") from error
