"""Kernels on pieces of work, each of which a thread takes as soon as it has done the one before."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from quinr_pl.native.threads import Deal

Words = npt.NDArray[np.int64]


class Function(ABC):
    """A kernel that can be called."""

    @abstractmethod
    def __call__(self, address: int) -> None:
        """Runs on one piece.

        Args:
            address: Of the kernel's 64-bit arguments, which are words.
        """

    def take(self, deal: Deal, words: Words, places: Words, values: Words) -> None:
        """Runs on every piece that this thread is dealt.

        Args:
            deal: Of the pieces.
            words: Arguments of each piece, (pieces, words).
            places: Which of the words point to memory of the thread's own.
            values: What these are for this thread.
        """
        first, step = words.ctypes.data, words.strides[0]
        for piece in deal:
            words[piece, places] = values
            self(first + piece * step)
