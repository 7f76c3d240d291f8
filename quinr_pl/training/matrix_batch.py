"""SOAP's matrices of about the same size, as one batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from quinr_pl.ops.cuda.soap import SoapState, soap_step
from quinr_pl.ops.dispatch import NoKernelsError
from quinr_pl.ops.orthogonal import orthogonal_basis
from quinr_pl.training.vectors import gradients_of


class MatrixBatch:
    """Parameters of up to so many axes, padded with zeros to one shape: they move by the same few operations.

    What is added is never seen: gradients are zero there, and eigenbases keep it apart.

    Args:
        parameters: With their gradients, as many axes longer than 1 each.
        groups: Index of each one's group.
        state: Of the optimizer, by parameter: ``exp_avg``, ``exp_avg_sq``, and for each axis its outer
            products ``GG`` and their eigenbasis ``Q``, or empty lists. The batch keeps them, and they become
            views of it.
        turned: Which axes longer than 1 have an eigenbasis.
        betas: Decay rates of the moment estimates, the second one that of the outer products too.
        eps: What keeps the division by the second moment's root finite.

    Attributes:
        groups: See above.
        parameters: See above.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        groups: Sequence[int],
        state: Mapping[Tensor, dict[str, Any]],
        turned: Sequence[bool],
        betas: Sequence[float],
        eps: float,
    ) -> None:
        self.groups = tuple(groups)
        self.parameters: list[Tensor] = list(parameters)
        self._betas, self._eps = betas, eps
        shapes = [_long_axes(parameter) for parameter in parameters]
        sizes = [max(shape) for shape in zip(*shapes, strict=True)]
        first = parameters[0]
        self._group_of = torch.tensor(groups, device=first.device)
        self._one_group = len(set(groups)) == 1
        new: dict[str, Any] = {"dtype": first.dtype, "device": first.device}
        self._gradient, self._first, self._second, self._update = (
            torch.zeros(len(parameters), *sizes, **new) for _ in range(4)
        )
        self._gradients = self._views(self._gradient)
        self._updates = self._views(self._update)
        self._axes = [
            _Axis(1 + axis, [shape[axis] for shape in shapes], size, new)
            for axis, size in enumerate(sizes)
            if axis < len(turned) and turned[axis]
        ]
        for index, parameter in enumerate(parameters):
            self._take(index, parameter, state[parameter])
        numbered = {axis.number - 1: axis for axis in self._axes}
        kept = [numbered.get(axis) for axis in range(len(sizes))]
        products = [None if axis is None else axis.products for axis in kept]
        bases = [None if axis is None else axis.basis for axis in kept]
        self._state = SoapState(self._first, self._second, products, bases, shapes)
        dense = all(parameter.is_contiguous() for parameter in parameters)
        self._has_kernels = first.device.type == "cuda" and dense and self._state.fits()

    def _take(self, index: int, parameter: Tensor, state: dict[str, Any]) -> None:
        """Copies a parameter's state into the batch, where it has one, and makes it views of the batch."""
        for name, batch in (("exp_avg", self._first), ("exp_avg_sq", self._second)):
            view = self._view(batch, index)
            if name in state:
                view.copy_(state[name])
            state[name] = view
        longer = [axis for axis, size in enumerate(parameter.shape) if size > 1]
        kept: dict[str, list[Any]] = {name: [[] for _ in parameter.shape] for name in ("GG", "Q")}
        for axis in self._axes:
            position = longer[axis.number - 1]
            size = parameter.shape[position]
            products, basis = axis.products[index, :size, :size], axis.basis[index, :size, :size]
            if state.get("Q"):
                products.copy_(state["GG"][position])
                basis.copy_(state["Q"][position])
            else:
                assert parameter.grad is not None
                columns = parameter.grad.movedim(position, 0).flatten(1)
                products.copy_((1 - self._betas[1]) * (columns @ columns.T))
                basis.copy_(torch.linalg.eigh(products)[1].flip(1))
            kept["GG"][position], kept["Q"][position] = products, basis
        state.update(kept)

    def _view(self, batch: Tensor, index: int) -> Tensor:
        """The part of a batch that a parameter fills, in the parameter's shape."""
        shape = self.parameters[index].shape
        part = batch[index]
        strides = iter(part.stride())
        inner = [next(strides) if size > 1 else 1 for size in shape]
        return part.as_strided(shape, inner, part.storage_offset())

    def _views(self, batch: Tensor) -> list[Tensor]:
        return [self._view(batch, index) for index in range(len(self.parameters))]

    def step_in_kernels(self, coefficients: Tensor, refresh: bool) -> bool:
        """Takes a step, decay included, by one kernel where there is one for the device and the sizes.

        Args:
            coefficients: What each group's update is multiplied by, and then its parameters, (groups, 2).
            refresh: Whether the eigenbases follow.

        Returns:
            Whether it did.
        """
        if not self._has_kernels:
            return False
        shares = 1 - self._betas[0], 1 - self._betas[1]
        gradients = gradients_of(self.parameters)
        given = self.parameters, gradients, self.groups, self._state, coefficients
        try:
            soap_step(*given, shares, self._eps, refresh)
        except NoKernelsError as error:
            self._has_kernels = False
            warnings.warn(f"{error}; torch's operations take their place", stacklevel=2)
            return False
        return True

    def step(self, sizes: Tensor, refresh: bool) -> None:
        """Moves the parameters, then the outer products and, where asked to, their eigenbases.

        Args:
            sizes: What each group's update is multiplied by, (groups,).
            refresh: Whether the eigenbases follow.
        """
        torch._foreach_copy_(self._gradients, gradients_of(self.parameters))
        turned = self._gradient
        for axis in self._axes:
            turned = axis.to_basis(turned)
        self._first.lerp_(self._gradient, 1 - self._betas[0])
        self._second.lerp_(turned.square(), 1 - self._betas[1])
        update = self._first
        for axis in self._axes:
            update = axis.to_basis(update)
        update = update / self._second.sqrt().add_(self._eps)
        for axis in self._axes:
            update = axis.from_basis(update)
        if self._one_group:
            size = sizes[self.groups[0]]
        else:
            size = sizes.index_select(0, self._group_of).view(-1, *(1,) * (update.ndim - 1))
        torch.mul(update, size.to(update.dtype), out=self._update)
        torch._foreach_add_(self.parameters, self._updates)
        for axis in self._axes:
            axis.add_products(self._gradient, self._betas[1])
            if refresh:
                axis.refresh(self._second)


class _Axis:
    """An axis of a batch with the eigenbases of its outer products.

    Args:
        number: Of the axis, the batch's own being 0.
        lengths: Of the axis in each parameter.
        size: Of the axis in the batch.
        new: dtype and device.

    Attributes:
        number: See above.
        products: Decaying sums of the gradients' outer products, (parameters, size, size).
        basis: Orthonormal columns, (parameters, size, size): the identity where nothing lies.
    """

    def __init__(self, number: int, lengths: Sequence[int], size: int, new: dict[str, Any]) -> None:
        self.number = number
        self.products = torch.zeros(len(lengths), size, size, **new)
        self.basis = torch.eye(size, **new).repeat(len(lengths), 1, 1)
        self._transposed = self.basis.mT
        device = self.products.device
        self._padding = torch.arange(size, device=device) >= torch.tensor(lengths, device=device)[:, None]
        self._padded = bool(self._padding.any())

    def to_basis(self, batch: Tensor) -> Tensor:
        """Multiplies the axis by the transposed basis."""
        return self._multiplied(batch, self._transposed, self.basis)

    def from_basis(self, batch: Tensor) -> Tensor:
        """Multiplies the axis by the basis."""
        return self._multiplied(batch, self.basis, self._transposed)

    def _multiplied(self, batch: Tensor, matrices: Tensor, transposed: Tensor) -> Tensor:
        if batch.ndim == 3:
            return torch.bmm(matrices, batch) if self.number == 1 else torch.bmm(batch, transposed)
        moved = batch.movedim(self.number, -1)
        product = torch.bmm(moved.flatten(1, -2), transposed)
        return product.view(moved.shape).movedim(-1, self.number)

    def add_products(self, gradient: Tensor, beta: float) -> None:
        """Lets the sums decay and adds the gradient's outer products."""
        if gradient.ndim > 3:
            gradient = gradient.movedim(self.number, 1).flatten(2)
        elif self.number == 2:
            gradient = gradient.mT
        self.products.baddbmm_(gradient, gradient.mT, beta=beta, alpha=1 - beta)

    def refresh(self, second: Tensor) -> None:
        """One round of power iteration from the basis; second moments follow their directions."""
        powers = torch.bmm(self.products, self.basis)
        lengths = (self.basis * powers).sum(1)
        if self._padded:
            lengths = lengths.masked_fill(self._padding, -torch.inf)
        order = lengths.argsort(dim=1, descending=True, stable=True)
        shape = [len(order), *(1,) * (second.ndim - 1)]
        shape[self.number] = order.shape[1]
        second.copy_(second.gather(self.number, order.view(shape).expand_as(second)))
        powers = powers.gather(2, order[:, None, :].expand_as(powers))
        self.basis.copy_(orthogonal_basis(powers))


def _long_axes(parameter: Tensor) -> list[int]:
    """Sizes of the axes longer than 1, two of them at least."""
    sizes = [size for size in parameter.shape if size > 1]
    return sizes + [1] * (2 - len(sizes))
