"""Bits of a vector of integers under Laplace distributions, and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from quinr_pl.native.mathematics import exp2, log2
from quinr_pl.native.values import Vector, fma, maximum, minimum, where


@dataclass(frozen=True)
class Laplace:
    """A Laplace distribution that is integrated over half a unit to either side.

    Attributes:
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability.
    """

    octaves: tuple[float, float]
    least: float

    def bits(self, deviation: Vector, log_scale: Vector) -> tuple[Vector, Vector, Vector]:
        """Bits, and their derivatives by the deviation and by the binary logarithm of the scale."""
        low, high = self.octaves
        inverse = exp2(-minimum(maximum(log_scale, low), high))
        steepness = inverse * (-1 / log(2))  # of exponents of two
        distance = abs(deviation)
        beyond, outer = distance - 0.5, distance + 0.5
        near = exp2(abs(beyond) * steepness)
        far = exp2(outer * steepness)
        inside = distance < 0.5
        mass = where(inside, fma(-0.5, near + far, 1.0), 0.5 * (near - far))
        kept = mass < self.least
        mass = maximum(mass, self.least)
        bits = -log2(mass)
        # d bits / d mass, times the half that both derivatives of the mass have.
        slope = where(kept, 0.0, -0.5 / log(2) / mass)
        of_distance = -(slope * (inverse * (near - far)))
        of_deviation = where(deviation < 0.0, -of_distance, of_distance)
        of_inverse = slope * (outer * far - beyond * near)
        of_scale = of_inverse * (inverse * -log(2))
        for clipped in (log_scale < low, high < log_scale):
            of_scale = where(clipped, 0.0, of_scale)
        return bits, of_deviation, of_scale
