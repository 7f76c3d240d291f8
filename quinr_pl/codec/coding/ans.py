"""The stack of an asymmetric numeral system as the payload of a section with nothing at its bottom."""

from __future__ import annotations

import constriction
import numpy as np
import numpy.typing as npt

from quinr_pl.codec.file.container import BitstreamError


def payload_of(coder: constriction.stream.stack.AnsCoder) -> bytes:
    """The stack, least significant byte first, without leading zeros."""
    words: npt.NDArray[np.uint32] = coder.get_compressed()
    return words.astype("<u4").tobytes().rstrip(b"\0")


def coder_of(payload: bytes, section: str) -> constriction.stream.stack.AnsCoder:
    """A decoder of a payload.

    Raises:
        BitstreamError: If the payload of that section has leading zeros.
    """
    if payload.endswith(b"\0"):
        raise BitstreamError(f"section {section} is malformed: it ends in a zero byte")
    words = np.frombuffer(payload + bytes(-len(payload) % 4), dtype="<u4").astype(np.uint32)
    return constriction.stream.stack.AnsCoder(words)


def check_end(coder: constriction.stream.stack.AnsCoder, section: str) -> None:
    """Looks whether a decoder has come to the bottom.

    Raises:
        BitstreamError: If something is left.
    """
    if len(coder.get_compressed()):
        raise BitstreamError(f"section {section} is malformed: it holds more than the {section}")
