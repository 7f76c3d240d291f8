"""The stack of an asymmetric numeral system, and the distributions that it codes with.

Frequencies of symbols are integers that sum to 2**PRECISION, so that every machine codes alike.
"""

from __future__ import annotations

from typing import TypeAlias

import constriction
import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers
from quinr_pl.codec.file.container import BitstreamError

PRECISION = 24
"""Frequencies of a distribution add up to 2**PRECISION."""
Coder: TypeAlias = constriction.stream.stack.AnsCoder
Model: TypeAlias = constriction.stream.model.Model


def encoder(bottom: bytes = b"") -> Coder:
    """A stack to put symbols on, the last one first.

    Args:
        bottom: Bytes at the bottom of the stack, the last one not 0.
    """
    return Coder(_words(bottom)) if bottom else Coder()


def payload_of(coder: Coder) -> bytes:
    """What is on a stack, least significant byte first, without leading zeros."""
    words: npt.NDArray[np.uint32] = coder.get_compressed()
    return words.astype("<u4").tobytes().rstrip(b"\0")


def decoder(payload: bytes, section: str) -> Coder:
    """The stack of a payload, to take symbols off.

    Raises:
        BitstreamError: If the payload of that section has leading zeros.
    """
    if payload.endswith(b"\0"):
        raise BitstreamError(f"section {section} is malformed: it ends in a zero byte")
    return Coder(_words(payload))


def check_end(coder: Coder, section: str) -> None:
    """Look whether all symbols of a stack with nothing at its bottom are taken off.

    Raises:
        BitstreamError: If something is left.
    """
    if len(coder.get_compressed()):
        raise BitstreamError(f"section {section} is malformed: it holds more than the {section}")


def categorical(frequencies: Integers) -> Model:
    """The distribution of symbols that share their frequencies, (alphabet,), each at least 1."""
    return constriction.stream.model.Categorical(parameters(frequencies), perfect=False)


def categorical_family() -> Model:
    """Distributions of symbols that each have frequencies of their own, given as ``parameters``."""
    return constriction.stream.model.Categorical(perfect=False)


def parameters(frequencies: Integers) -> npt.NDArray[np.float64]:
    """What a categorical model takes for frequencies of any shape, along the last axis."""
    # `perfect=False` adds 1 to each of these integers and, as they sum to 2**PRECISION minus their number,
    # scales by exactly 1: the coder works with the frequencies as they are.
    return (frequencies - 1).astype(np.float64)


def uniform(alphabet: int) -> Model:
    """The distribution of symbols that are all alike."""
    return constriction.stream.model.Uniform(alphabet)


def _words(data: bytes) -> npt.NDArray[np.uint32]:
    padded = data + bytes(-len(data) % 4)
    return np.frombuffer(padded, dtype="<u4").astype(np.uint32)
