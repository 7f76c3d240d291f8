"""Rounding under a quadratic error: later weights make up for the rounding errors of earlier ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL

_LEVELS = -LARGEST_LEVEL, LARGEST_LEVEL
_LEAST_DAMPING = 1e-30
_MORE_DAMPING = 10.0


@dataclass(frozen=True)
class Compensation:
    """How weights that are still to be rounded move when one is: what does not depend on the step sizes.

    Args:
        order: In which order weights are rounded, (n,).
        update: Upper triangular U with U' U the inverse of the damped Hessian in that order, (n, n).
    """

    order: Integers
    update: Floats

    @classmethod
    def of(cls, hessian: Floats, steps: Floats, damping: float, rounded: int | None = None) -> Compensation:
        """From the curvature of the error.

        Args:
            hessian: Curvature of the error in the weights, (n, n).
            steps: Step size of each, (n,); only their ratios matter.
            damping: Added to the diagonal, in units of the mean curvature of a step: what keeps weights
                that the sample hardly sees from running away.
            rounded: How many weights are to be rounded, the first ones; all when left out.
        """
        curvature = hessian.diagonal() * steps**2
        count = len(steps) if rounded is None else rounded
        order = np.argsort(-curvature[:count], kind="stable")
        order = np.concatenate([order, np.arange(count, len(steps))])
        spacing = steps[order]
        scaled = hessian[np.ix_(order, order)] * spacing[:, None] * spacing
        root = _inverse_root(scaled, damping * float(curvature.mean()) + _LEAST_DAMPING)
        return cls(order, root * spacing)

    def conditional_curvature(self) -> Floats:
        """Curvature of the error in each weight while those after it move along, (n,)."""
        result = np.empty(len(self.order))
        result[self.order] = self.update.diagonal() ** -2.0
        return result

    def round(self, values: Floats, steps: Floats, rounded: int | None = None) -> Floats:
        """Round weights one after another, and move those still to come so that the error grows least.

        The optimal-brain-surgeon update as in GPTQ (Frantar et al. 2022), which is Babai's nearest plane
        in the lattice of levels under the quadratic form of the Hessian.

        Args:
            values: Weights to round, (n,).
            steps: Step size of each, (n,).
            rounded: How many weights to round, the first ones; all when left out.

        Returns:
            Levels for rounded weights, moved weights in units of their steps for others, (n,).
        """
        count = len(values) if rounded is None else rounded
        result, spacing = values[self.order], steps[self.order]
        for index in range(count):
            level = np.clip(np.rint(result[index] / spacing[index]), -LARGEST_LEVEL, LARGEST_LEVEL)
            error = result[index] - level * spacing[index]
            result[index:] -= error / self.update[index, index] * self.update[index, index:]
            result[index] = level
        result[count:] /= spacing[count:]
        unsorted = np.empty_like(result)
        unsorted[self.order] = result
        return unsorted

    def nearest(
        self,
        values: Floats,
        steps: Floats,
        survivors: int,
        before: Integers | None = None,
        penalty: float = 0.0,
    ) -> Integers:
        """Levels whose error is about the least: ``round`` that goes on from several of the best beginnings.

        Each weight takes one of its three nearest levels, and of what that gives the best ones survive (the
        M-algorithm, or K-best sphere decoding: Guo & Nilsson 2006, "Algorithm and implementation of the
        K-best sphere decoding for MIMO detection").

        Args:
            values: Weights to round, (n,).
            steps: Step size of each, (n,).
            survivors: Beginnings to go on from.
            before: Levels that count as near, however far they are, (n,); each weight may take its own.
            penalty: Error that each step away from them adds.

        Returns:
            Levels, (n,).
        """
        spacing = steps[self.order]
        moved = values[self.order][None]  # (survivors, n)
        levels, errors = np.zeros_like(moved), np.zeros(1)
        for index, (row, step) in enumerate(zip(self.update, spacing, strict=True)):
            below = np.floor(moved[:, index] / step)
            nearer = np.where(moved[:, index] / step - below < 0.5, -1.0, 2.0)
            choices = np.clip(below[:, None] + np.stack([0 * below, 0 * below + 1, nearer], 1), *_LEVELS)
            added: Floats | float = 0.0
            if before is not None:
                told = before[self.order[index]]
                again = (choices == told).any(1)  # it is one of the nearest
                choices = np.column_stack([choices, np.full(len(choices), told)])
                away = np.abs(choices - told)
                added = np.where(away > 0, penalty * np.maximum(away, 1), 0.0)
                added[again, -1] = np.inf
            off = (moved[:, index, None] - choices * step) / row[index]
            found = (errors[:, None] + off**2 + added).ravel()
            kept = np.argsort(found, kind="stable")[:survivors]
            parent = kept // choices.shape[1]
            errors = found[kept]
            moved = moved[parent] - off.ravel()[kept, None] * row
            levels = levels[parent]
            levels[:, index] = choices.ravel()[kept]
        result = np.empty(len(values), dtype=np.int64)
        result[self.order] = levels[0]
        return result


def _inverse_root(matrix: Floats, damping: float) -> Floats:
    """Upper triangular U with U' U the inverse of a matrix to whose diagonal the damping is added, (n, n).

    Sums in single precision leave a curvature asymmetric in its last digits and its least eigenvalues below
    zero. So one triangle alone is read, and the damping grows until the matrix is positive definite.
    """
    # By torch: threads of NumPy's library, which nobody here can set, would change the last digits.
    # The root of the matrix in reverse order, reversed, is the upper triangular R with R R' the matrix.
    reverse, identity = torch.from_numpy(matrix).flip(0, 1), torch.eye(len(matrix), dtype=torch.float64)
    root, failed = torch.linalg.cholesky_ex(reverse + damping * identity)
    while failed and math.isfinite(damping):
        damping *= _MORE_DAMPING
        root, failed = torch.linalg.cholesky_ex(reverse + damping * identity)
    return torch.linalg.solve_triangular(root.flip(0, 1), identity, upper=True).numpy()
