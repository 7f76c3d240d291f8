"""The arguments of a kernel: an array of 64-bit words, named and typed by a class's annotations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Array, Emitter, Value

Size = Value
"""A 64-bit integer."""
Integers = Value
"""Address of 64-bit integers."""
Numbers = Array
"""Address of numbers, each of which fills all lanes when read."""
Vectors = Array
"""Address of vectors."""


class Arguments:
    """A function under construction and its arguments; subclasses annotate them with the four types above.

    Args:
        module: Where the function goes.
        name: Its name.
        precision: The format of its numbers.
    """

    def __init__(self, module: ir.Module, name: str, precision: Precision) -> None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()]), name)
        self.code = Emitter(function, precision)
        for position, (argument, kind) in enumerate(type(self).__annotations__.items()):
            value = self.code.integer(function.args[0], position)
            if kind != "Size":
                value = self.code.builder.inttoptr(value, ir.PointerType())
            if kind in ("Numbers", "Vectors"):
                value = Array(value, scalar=kind == "Numbers")
            setattr(self, argument, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the words, in order."""
        return tuple(cls.__annotations__)

    @classmethod
    def words(cls, **values: int) -> npt.NDArray[np.int64]:
        """The words of a call; those that are not given are 0."""
        return np.array([values.pop(name, 0) for name in cls.names()], dtype=np.int64)
