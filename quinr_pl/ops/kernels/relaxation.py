"""Noise and soft rounding in place of rounding as vector code, and its gradient."""

from __future__ import annotations

from functools import partial

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers
from quinr_pl.native.code import Code, Program
from quinr_pl.native.elements import Place, each
from quinr_pl.native.mathematics import floor, tanh
from quinr_pl.native.noise import normal_pair, philox
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import Index, Vector, fma, interleave


class Kernel(Arguments):
    """Rows ``first_row`` to ``last_row``, of ROW numbers each (quinr_pl.native.elements)."""

    first_row: Index
    last_row: Index
    count: Index
    key: Index
    stream: Index
    settings: Numbers
    """1 / temperature, half of what the staircase's tangents are divided by, and the noise's spread."""
    latents: Numbers
    result: Numbers
    slope: Numbers
    """The derivative of each result by its latent."""
    cotangent: Numbers
    gradient: Numbers


def build(precision: Precision) -> Program:
    """The kernels ``forward``, ``with_slope``, which keeps the derivatives, and ``backward``."""
    return Program(
        "relaxation",
        precision,
        {
            "forward": partial(_forward, keep=False),
            "with_slope": partial(_forward, keep=True),
            "backward": _backward,
        },
    )


def _forward(code: Code, keep: bool) -> None:
    k = Kernel(code)
    key = code.integer(k.key)

    def relax(place: Place) -> None:
        pair = code.lanes_from(place.at >> 1)
        noise = interleave(*normal_pair(philox((pair, code.integer(k.stream)), key)))
        for vector, normal in enumerate(noise):
            latents, first = _soft_round(k, place.read(k.latents, vector))
            result, second = _soft_round(k, fma(normal, k.settings[2], latents))
            place.write(k.result, result, vector)
            if keep:
                place.write(k.slope, first * second, vector)

    each(code, (k.first_row, k.last_row), k.count, relax, vectors=2)


def _soft_round(k: Kernel, values: Vector) -> tuple[Vector, Vector]:
    """Values on the staircase, and its slope; see quinr_pl.ops.soft_rounding."""
    steepness, height = k.settings[0], k.settings[1]
    middle = floor(values) + 0.5
    bent = tanh((values - middle) * steepness)
    return fma(bent, height, middle), (1.0 - bent * bent) * (height * steepness)


def _backward(code: Code) -> None:
    k = Kernel(code)

    def weigh(place: Place) -> None:
        place.write(k.gradient, place.read(k.cotangent) * place.read(k.slope))

    each(code, (k.first_row, k.last_row), k.count, weigh)
