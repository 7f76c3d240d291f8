"""The arguments of a kernel: an array of 64-bit words, named and typed by a class's annotations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quinr_pl.native.arrays import Complexes, Integers, Numbers, Vectors
from quinr_pl.native.code import Code
from quinr_pl.native.values import Index

_ARRAYS = {kind.__name__: kind for kind in (Integers, Numbers, Vectors, Complexes)}


class Arguments:
    """A kernel under construction and its arguments.

    Subclasses annotate each argument with its type: ``Index``, or the address of ``Integers``, ``Numbers``,
    ``Vectors`` or ``Complexes``.

    Args:
        code: Code of the kernel under construction.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        emitter = code.emitter
        for position, (argument, kind) in enumerate(type(self).__annotations__.items()):
            word = emitter.argument(position)
            array = _ARRAYS.get(kind)
            value = Index(emitter, word) if array is None else array(emitter, emitter.pointer(word))
            setattr(self, argument, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the words, in order."""
        return tuple(cls.__annotations__)

    @classmethod
    def words(cls, **values: int) -> npt.NDArray[np.int64]:
        """The words of a call; those that are not given are 0."""
        return np.array([values.pop(name, 0) for name in cls.names()], dtype=np.int64)
