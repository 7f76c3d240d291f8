"""The values of a decoded file, computed by torch on a device: entropy coding is done by then, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from quinr_pl.codec.decoding import DecodedSignal
from quinr_pl.codec.devices import find_device
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.decoders.protocol import Floats, Reconstruction, Shape


def on_device(decoded: DecodedSignal, device: str) -> DecodedSignal:
    """A decoded file whose values the network's module of torch computes on a device.

    They differ from the decoder's by the rounding of float32. Frames that are told by this one take the
    decoder's.

    Args:
        decoded: As `decode` gives it; it is left as it is.
        device: See `find_device`. On ``cpu`` too it is torch that computes.

    Raises:
        QuinrError: If there is no such device, or its memory does not hold the network. What is returned
            raises it where memory does not suffice for a block.
    """
    device = find_device(device)
    network = replace(decoded).network  # the file's stays on the CPU
    return decoded.computed_by(reconstruction_on(network, decoded, device))


def reconstruction_on(network: Network, decoded: DecodedSignal, device: str) -> Reconstruction:
    """Computes blocks of a file's values on a device, and gives them as arrays.

    Args:
        network: Of the file's architecture, which is moved to the device.
        decoded: The file.
        device: What `find_device` gives.

    Raises:
        QuinrError: If the device's memory does not hold the network; later on, if not that of a block.
    """
    reconstruction = network.reconstruction(decoded.quantized.values())
    with _memory_of(device, decoded.name):
        network.to(device)

    def blocks(start: int, stop: int, shape: Shape) -> Floats:
        with _memory_of(device, decoded.name):
            return reconstruction(start, stop, shape)

    return blocks


@contextmanager
def _memory_of(device: str, name: str) -> Iterator[None]:
    """Too little memory of a GPU is an error in one line; that of the CPU is the decoder's to tell."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise QuinrError(
            f"--device {device}: its memory does not suffice to decode {name}; free some, or give cpu"
        ) from None
