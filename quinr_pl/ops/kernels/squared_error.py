"""The squared error of a picture as vector code, and its gradient."""

from __future__ import annotations

from functools import partial

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
    """The kernels ``forward`` and ``with_gradient``, which keeps the sum's gradient times ``factor``, too."""
    return Program(
        "squared_error",
        precision,
        {"forward": partial(_sum, keep=False), "with_gradient": partial(_sum, keep=True)},
    )


def _sum(code: Code, keep: bool) -> None:
    k = Kernel(code)
    k.sums[0] = 0.0
    double = 2.0 * k.factor[0] if keep else code.constant(0.0)

    def add(place: Place) -> None:
        error = place.read(k.values) - place.read(k.picture)
        weighed = place.read(k.known) * error
        k.sums[0] = fma(weighed, error, k.sums[0])
        if keep:
            place.write(k.gradient, weighed * double)

    each(code, (k.first_row, k.last_row), k.count, add)
    k.totals.set_sum(0, k.sums[0])
