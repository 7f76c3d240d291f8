"""The squared error of a picture as vector code, and its gradient."""

from __future__ import annotations

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers, Vectors
from quinr_pl.native.code import Code, Program
from quinr_pl.native.elements import Place, each
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import Index, fma


class Kernel(Arguments):
    """Rows ``first_row`` to ``last_row``, of ROW numbers each (quinr_pl.native.elements)."""

    first_row: Index
    last_row: Index
    count: Index
    values: Numbers
    picture: Numbers
    known: Numbers
    factor: Numbers
    gradient: Numbers
    sums: Vectors
    totals: Numbers
    """Sum of ``known * (values - picture)**2``."""


def build(precision: Precision) -> Program:
    """The kernels ``forward`` and ``backward``, whose gradient is multiplied by ``factor``."""
    return Program("squared_error", precision, {"forward": _forward, "backward": _backward})


def _forward(code: Code) -> None:
    k = Kernel(code)
    k.sums[0] = 0.0

    def add(place: Place) -> None:
        error = place.read(k.values) - place.read(k.picture)
        k.sums[0] = fma(place.read(k.known) * error, error, k.sums[0])

    each(code, (k.first_row, k.last_row), k.count, add)
    k.totals.set_sum(0, k.sums[0])


def _backward(code: Code) -> None:
    k = Kernel(code)
    factor = k.factor[0]

    def derive(place: Place) -> None:
        error = place.read(k.values) - place.read(k.picture)
        place.write(k.gradient, place.read(k.known) * error * factor)

    each(code, (k.first_row, k.last_row), k.count, derive)
