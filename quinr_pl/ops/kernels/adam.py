"""A step of Adam as vector code: moments and parameters in one pass."""

from __future__ import annotations

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers
from quinr_pl.native.code import Code, Program
from quinr_pl.native.elements import Place, each
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import Index, fma, sqrt


class Kernel(Arguments):
    """Rows ``first_row`` to ``last_row``, of ROW numbers each (quinr_pl.native.elements)."""

    first_row: Index
    last_row: Index
    count: Index
    settings: Numbers
    """What the moments move by, what keeps the division finite, and what the update is multiplied by."""
    gradient: Numbers
    first: Numbers
    second: Numbers
    parameter: Numbers


def build(precision: Precision) -> Program:
    """The kernel ``step``."""
    return Program("adam", precision, {"step": _step})


def _step(code: Code) -> None:
    k = Kernel(code)
    mean_share, square_share, eps, size = (k.settings[at] for at in range(4))

    def move(place: Place) -> None:
        gradient, first, second = (place.read(array) for array in (k.gradient, k.first, k.second))
        first = fma(gradient - first, mean_share, first)
        second = fma(fma(gradient, gradient, -second), square_share, second)
        place.write(k.first, first)
        place.write(k.second, second)
        update = first / (sqrt(second) + eps)
        place.write(k.parameter, fma(update, size, place.read(k.parameter)))

    each(code, (k.first_row, k.last_row), k.count, move)
