"""The mask that says which pixels of a range image have a return, as a payload.

Each pixel is priced by how often pixels with the same ten neighbours before it had a return (the template of
JBIG, ITU-T T.82, without its moving pixel). docs/format.md specifies each step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers, Mask
from quinr_pl.codec.coding import ans
from quinr_pl.codec.coding.wavefronts import Wavefront, wavefronts_of
from quinr_pl.codec.file.container import BitstreamError

OFFSETS = ((0, -1), (0, -2), (0, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-2, -1), (-2, 0))
"""Neighbours of a pixel, rows down and columns right."""
REACH = 3
_FIRST_COUNT, _COUNT = 2, 5


def write(returns: Mask) -> bytes:
    """The payload: the state of an asymmetric numeral system, without leading zeros.

    Args:
        returns: (height, width), True where there is a return.
    """
    return _written((returns.shape[0], returns.shape[1]), np.packbits(returns).tobytes())


@lru_cache(maxsize=4)
def _written(shape: tuple[int, int], packed: bytes) -> bytes:
    # Kept, since choosing step sizes writes a file dozens of times with one and the same mask.
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=shape[0] * shape[1])
    symbols = bits.reshape(shape).astype(np.int64)
    steps: list[tuple[Integers, Integers]] = []
    _walk(shape, lambda front, _: symbols[front.rows, front.columns], lambda *step: steps.append(step))
    coder = ans.encoder()
    for returned, frequencies in reversed(steps):
        coder.encode_reverse(returned.astype(np.int32), ans.categorical_family(), _parameters(frequencies))
    return ans.payload_of(coder)


def read(payload: bytes, shape: tuple[int, ...]) -> Mask:
    """The mask of a payload.

    Args:
        payload: What ``write`` gave.
        shape: Rows and columns.

    Raises:
        BitstreamError: If the payload cannot come from ``write``.
    """
    coder = ans.decoder(payload, "mask")

    def decoded(_: Wavefront, frequencies: Integers) -> Integers:
        symbols = coder.decode(ans.categorical_family(), _parameters(frequencies))
        return np.asarray(symbols, dtype=np.int64)

    rows, columns = shape
    returns = _walk((rows, columns), decoded)
    ans.check_end(coder, "mask")
    if not returns.any():
        raise BitstreamError("section mask is malformed: no pixel has a return")
    return returns


def _walk(
    shape: tuple[int, int],
    symbols_of: Callable[[Wavefront, Integers], Integers],
    note: Callable[[Integers, Integers], None] = lambda symbols, frequencies: None,
) -> Mask:
    """Go through a mask in the order of the file.

    Args:
        shape: Rows and columns.
        symbols_of: From pixels and how frequent a return is at each, in units of 2**-24, to 1 where there is
            one and 0 elsewhere.
        note: Is told these symbols and frequencies.

    Returns:
        The mask.
    """
    framed = np.ones((shape[0] + REACH, shape[1] + 2 * REACH), dtype=np.bool_)
    steps = np.array([down * framed.shape[1] + right for down, right in OFFSETS])
    powers = 1 << np.arange(len(OFFSETS))
    flat = framed.reshape(-1)
    counts = np.full((1 << len(OFFSETS), 2), _FIRST_COUNT, dtype=np.int64)
    for front in wavefronts_of(*shape, REACH - 1):
        places = (front.rows + REACH) * framed.shape[1] + front.columns + REACH
        contexts = flat[places[:, None] + steps] @ powers
        without, with_return = counts[contexts].T
        frequencies = 1 + with_return * ((1 << ans.PRECISION) - 2) // (without + with_return)
        symbols = symbols_of(front, frequencies)
        note(symbols, frequencies)
        flat[places] = symbols
        # Only now: within a wavefront the decoder knows nothing of its neighbours.
        np.add.at(counts, (contexts, symbols), _COUNT)
    result: Mask = framed[REACH:, REACH : REACH + shape[1]]
    return result


def _parameters(frequencies: Integers) -> npt.NDArray[np.float64]:
    """Of the model of each pixel, (pixels, 2), from how frequent a return is there, (pixels,)."""
    return ans.parameters(np.stack([(1 << ans.PRECISION) - frequencies, frequencies], axis=1))
