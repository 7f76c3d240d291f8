"""Functions of tensors that run in kernels, with all that autograd and torch's transforms ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

Gradients = Callable[[Tensor, Sequence[bool]], Iterable[Tensor | None]]
"""From a cotangent, and which tensors want one, to a gradient for each tensor."""


class Operation(ABC):
    """A function of tensors in two forms: fast without a graph, and in torch operations.

    Kernels give values and first derivatives. Whatever needs more takes the torch operations: the derivative
    of a derivative (``create_graph=True``), forward mode, and the transforms of ``torch.func``. The compiler
    of torch breaks its graph around the kernels.
    """

    # Subclasses name their tensors: any signature fits that of *tensors and **_.

    @abstractmethod
    def run(self, keep: bool, *tensors: Any, **_: Any) -> tuple[Tensor, Gradients]:
        """The values, and what finds the gradients.

        Args:
            keep: Whether the gradients will be asked for.
            tensors: With nothing pending, so that a kernel may read them by their addresses and strides.
                There is no graph to be made: either gradients are off or no tensor needs one.
        """

    @abstractmethod
    def in_torch(self, *tensors: Any, **_: Any) -> Tensor:
        """The values in torch operations, differentiable as often as one likes."""

    def __call__(self, *tensors: Tensor | None) -> Tensor:
        """The values, differentiable in every tensor."""
        if torch.compiler.is_compiling():
            return torch.compiler.disable(_computed)(self, *tensors)
        return _computed(self, *tensors)


def _computed(operation: Operation, *tensors: Tensor | None) -> Tensor:
    if _transformed():
        return operation.in_torch(*tensors)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        result: Tensor = _Function.apply(operation, *tensors)
        return result
    return operation.run(False, *map(_settled, tensors))[0]


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, operation: Operation, *tensors: Tensor | None) -> Tensor:
        values, ctx.gradients = operation.run(True, *map(_settled, tensors))
        ctx.operation = operation
        ctx.save_for_backward(*tensors)
        return values

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:
        tensors = ctx.saved_tensors  # raises if one was changed in place since the forward pass
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or _transformed():
            return None, *_differentiable_gradients(ctx.operation, tensors, cotangent, needed)
        settled = _settled(cotangent)
        assert settled is not None
        return None, *ctx.gradients(settled, needed)


def _differentiable_gradients(
    operation: Operation, tensors: Sequence[Tensor | None], cotangent: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Gradients with a graph, where kernels would give numbers: constants, for all that autograd knows.

    ``once_differentiable`` is no help: it lets them pass whenever the cotangent needs no gradient, and the
    second derivatives are zeros without a word.
    """
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views of their own: where one tensor depends on another, its gradient must not pass through it.
        views = [None if tensor is None else tensor.view_as(tensor) for tensor in tensors]
        values = operation.in_torch(*views)
        wanted = [view for view, wants in zip(views, needed, strict=True) if view is not None and wants]
        found = torch.autograd.grad(
            values, wanted, cotangent, create_graph=graph, allow_unused=True, materialize_grads=True
        )
    rest = iter(found)
    return [next(rest) if wants else None for wants in needed]


def _settled(tensor: Tensor | None) -> Tensor | None:
    """A tensor whose memory holds its numbers: torch may leave a negation or conjugation for later."""
    return None if tensor is None else tensor.resolve_conj().resolve_neg()


def _transformed() -> bool:
    """Whether a transform of torch.func or forward mode is at work: tensors are more than memory then."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()
