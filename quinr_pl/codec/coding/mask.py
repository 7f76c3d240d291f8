"""The mask that says which pixels of a range image have a return, as a payload.

Each pixel is priced by how often pixels with the same ten neighbours before it had a return (the template of
JBIG, ITU-T T.82, without its moving pixel); in a frame that is told by another, by six neighbours and three
pixels of the other's mask. docs/format.md specifies each step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers, Mask
from quinr_pl.codec.coding import ans
from quinr_pl.codec.coding.wavefronts import wavefronts_of
from quinr_pl.codec.file.container import BitstreamError

OFFSETS = ((0, -1), (0, -2), (0, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-2, -1), (-2, 0))
"""Neighbours of a pixel, rows down and columns right."""
OFFSETS_AFTER = ((0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, 0))
"""The same where there is the mask of another frame."""
OFFSETS_OF_OTHER = ((0, 0), (0, -1), (0, 1))
"""Pixels of the other's mask, likewise."""
REACH = 3
_FIRST_COUNT, _COUNT = 2, 5


def write(returns: Mask, other: Mask | None = None) -> bytes:
    """The payload: the state of an asymmetric numeral system, without leading zeros.

    Args:
        returns: (height, width), True where there is a return.
        other: The mask of the frame that this one is told by.
    """
    packed = None if other is None else np.packbits(other).tobytes()
    return _written((returns.shape[0], returns.shape[1]), np.packbits(returns).tobytes(), packed)


@lru_cache(maxsize=4)
def _written(shape: tuple[int, int], packed: bytes, other: bytes | None) -> bytes:
    # Kept, since choosing step sizes writes a file dozens of times with one and the same mask.
    framed = np.pad(_unpacked(packed, shape).astype(np.int64), ((REACH, 0), (REACH, REACH))).reshape(-1)
    before = None if other is None else _unpacked(other, shape).astype(np.bool_)
    steps: list[tuple[Integers, Integers]] = []
    _walk(shape, before, lambda front, _: framed[front], lambda *step: steps.append(step))
    coder = ans.encoder()
    for returned, frequencies in reversed(steps):
        coder.encode_reverse(returned.astype(np.int32), ans.categorical_family(), _parameters(frequencies))
    return ans.payload_of(coder)


def _unpacked(packed: bytes, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=shape[0] * shape[1]).reshape(shape)


def read(payload: bytes, shape: tuple[int, ...], other: Mask | None = None) -> Mask:
    """The mask of a payload.

    Args:
        payload: What ``write`` gave.
        shape: Rows and columns.
        other: See ``write``.

    Raises:
        BitstreamError: If the payload cannot come from ``write``.
    """
    coder, family = ans.decoder(payload, "mask"), ans.categorical_family()

    def decoded(_: slice, frequencies: Integers) -> Integers:
        symbols = coder.decode(family, _parameters(frequencies))
        return np.asarray(symbols, dtype=np.int64)

    rows, columns = shape
    returns = _walk((rows, columns), other, decoded)
    ans.check_end(coder, "mask")
    if not returns.any():
        raise BitstreamError("section mask is malformed: no pixel has a return")
    return returns


def _walk(
    shape: tuple[int, int],
    other: Mask | None,
    symbols_of: Callable[[slice, Integers], Integers],
    note: Callable[[Integers, Integers], None] = lambda symbols, frequencies: None,
) -> Mask:
    """Go through a mask in the order of the file.

    Args:
        shape: Rows and columns.
        other: The mask of the frame that this one is told by.
        symbols_of: From pixels, as places in a frame of ``REACH``, and how frequent a return is at each, in
            units of 2**-24, to 1 where there is one and 0 elsewhere.
        note: Is told these symbols and frequencies.

    Returns:
        The mask.
    """
    # The other mask follows in the same frame, so that its pixels are but further steps away.
    masks = 1 if other is None else 2
    framed = np.ones((masks, shape[0] + REACH, shape[1] + 2 * REACH), dtype=np.bool_)
    row, inside = framed.shape[2], (slice(REACH, None), slice(REACH, REACH + shape[1]))
    away = [down * row + right for down, right in (OFFSETS if other is None else OFFSETS_AFTER)]
    if other is not None:
        framed[1][inside] = other
        away += [framed[0].size + down * row + right for down, right in OFFSETS_OF_OTHER]
    steps = np.array(away)
    powers = 1 << np.arange(len(steps))
    flat = framed.reshape(-1)
    counts = np.full((1 << len(steps), 2), _FIRST_COUNT, dtype=np.int64)
    for front in wavefronts_of(*shape, REACH - 1, REACH):
        places = np.arange(front.start, front.stop, front.step)
        contexts = flat[places[:, None] + steps] @ powers
        without, with_return = counts[contexts].T
        frequencies = 1 + with_return * ((1 << ans.PRECISION) - 2) // (without + with_return)
        symbols = symbols_of(front, frequencies)
        note(symbols, frequencies)
        flat[front] = symbols
        # Only now: within a wavefront the decoder knows nothing of its neighbours.
        np.add.at(counts.reshape(-1), 2 * contexts + symbols, _COUNT)
    result: Mask = framed[0][inside]
    return result


def _parameters(frequencies: Integers) -> npt.NDArray[np.float64]:
    """Of the model of each pixel, (pixels, 2), from how frequent a return is there, (pixels,)."""
    both = np.empty((len(frequencies), 2), dtype=np.int64)
    both[:, 0] = (1 << ans.PRECISION) - frequencies
    both[:, 1] = frequencies
    return ans.parameters(both)
