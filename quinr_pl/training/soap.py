"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, for many small matrices at a time.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024. The mathematics is that of
`pytorch_optimizer.SOAP`. There each parameter takes some twenty operations of its own; here matrices of about
the same size lie in one batch, and no operation waits for a number on the host: a CUDA graph can hold a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from quinr_pl.training.matrix_batch import MatrixBatch
from quinr_pl.training.vectors import Vectors


class SOAP(torch.optim.Optimizer):
    """Adam in eigenbases that follow the gradients' outer products.

    An axis longer than ``max_precondition_dim``, and vectors, keep their own basis. The first step only looks
    at the gradients.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        betas: Decay rates of the moment estimates; the second is that of the outer products too.
        weight_decay: Share of a parameter that a step takes off, in units of the learning rate; of elements
            whose gradient is zero none.
        precondition_frequency: Steps between eigenbases.
        max_precondition_dim: Longest axis that is turned.
        eps: What keeps the division by the second moment's root finite.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        weight_decay: float = 0.0,
        precondition_frequency: int = 10,
        max_precondition_dim: int = 10000,
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "precondition_frequency": precondition_frequency,
            "max_precondition_dim": max_precondition_dim,
            "eps": eps,
        }
        super().__init__(params, defaults)
        self._batched: tuple[Any, list[MatrixBatch], list[Vectors]] | None = None
        self._matrices: dict[Any, list[MatrixBatch]] = {}
        self._layouts = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step.

        Args:
            closure: Computes the loss and its gradients, and is called first.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        step = self.steps_taken()
        rows = [self.coefficients(group, group["lr"], step) for group in self.param_groups]
        like = self.param_groups[0]["params"][0]
        self.advance(torch.tensor(rows, dtype=like.dtype, device=like.device), step)
        self.count_step()
        return loss

    def steps_taken(self) -> int:
        """Steps before the next one."""
        steps: int = self.param_groups[0].get("step", 0)
        return steps

    def count_step(self) -> None:
        """Counts a step that was taken."""
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1

    @staticmethod
    def coefficients(group: Mapping[str, Any], rate: float, step: int) -> tuple[float, float]:
        """What a step multiplies a group's update by, and then its parameters.

        Args:
            group: A group of parameters.
            rate: Its learning rate in that step.
            step: Steps taken before.
        """
        if step == 0:
            return 0.0, 1.0
        beta1, beta2 = group["betas"]
        size = rate * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        return -size, 1 - rate * group["weight_decay"]

    def kind(self, step: int) -> tuple[bool, ...]:
        """Whether it is the first step, and which groups get new eigenbases: what decides the operations."""
        return step == 0, *(step % group["precondition_frequency"] == 0 for group in self.param_groups)

    def layout(self) -> int:
        """How often matrices were laid out in batches."""
        return self._layouts

    @torch.no_grad()
    def advance(self, coefficients: Tensor, step: int) -> None:
        """Moves the parameters along their gradients; the host is not waited for, but in the first step.

        Args:
            coefficients: Those of each group, (groups, 2), on the parameters' device.
            step: Steps taken before; of those from 1 on only their ``kind`` counts.
        """
        matrices, vectors = self._batches()
        if step == 0:
            return
        _, *refreshes = self.kind(step)
        sizes, shrinks = coefficients.unbind(1)
        shrunk: set[int] = set()
        for batch in matrices:
            refresh = refreshes[batch.groups[0]]
            if batch.step_in_kernels(coefficients, refresh):
                shrunk.update(map(id, batch.parameters))
            else:
                batch.step(sizes, refresh)
        for vector in vectors:
            vector.step(sizes[vector.group])
        for index, group in enumerate(self.param_groups):
            moved = [p for p in group["params"] if p.grad is not None and id(p) not in shrunk]
            if group["weight_decay"] and moved:
                _shrink(moved, [p.grad for p in moved], shrinks[index])

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state, by parameter."""
        result = super().state_dict()
        result["state"] = {key: _cloned(state) for key, state in result["state"].items()}
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state, also from one that `pytorch_optimizer.SOAP` left."""
        super().load_state_dict(state_dict)
        self._batched, self._matrices = None, {}

    def _batches(self) -> tuple[list[MatrixBatch], list[Vectors]]:
        """Batches of the parameters that have gradients; laid out anew when others have them."""
        present = tuple(id(p) for group in self.param_groups for p in group["params"] if p.grad is not None)
        if self._batched is None or self._batched[0] != present:
            self._batched = (present, *self._laid_out())
        return self._batched[1:]

    def _laid_out(self) -> tuple[list[MatrixBatch], list[Vectors]]:
        alike: dict[Any, list[tuple[torch.nn.Parameter, int]]] = {}
        vectors = []
        for index, group in enumerate(self.param_groups):
            single = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                turned = _turned_axes(parameter, group["max_precondition_dim"])
                if not any(turned):
                    single.append(parameter)
                    continue
                # Up to multiples of 32 the room for the larger ones costs less than operations of their own.
                sizes = tuple(-(-size // 32) for size in parameter.squeeze().shape)
                rates = (*group["betas"], group["eps"], group["precondition_frequency"])
                key = (sizes, turned, rates, parameter.dtype, parameter.device)
                alike.setdefault(key, []).append((parameter, index))
            if single:
                vectors.append(Vectors(single, self.state, index, group["betas"], group["eps"]))
        members = tuple(tuple(id(parameter) for parameter, _ in members) for members in alike.values())
        if members not in self._matrices:
            self._matrices = {members: [self._batch(key, given) for key, given in alike.items()]}
            self._layouts += 1
        return self._matrices[members], vectors

    def _batch(self, key: Any, members: Sequence[tuple[torch.nn.Parameter, int]]) -> MatrixBatch:
        _, turned, (*betas, eps, _), *_ = key
        parameters, groups = zip(*members, strict=True)
        return MatrixBatch(parameters, groups, self.state, turned, betas, eps)


def _turned_axes(parameter: Tensor, longest: int) -> tuple[bool, ...]:
    """Which axes longer than 1 have an eigenbasis: none of a vector."""
    sizes = [size for size in parameter.shape if size > 1]
    return tuple(size <= longest for size in sizes) if parameter.ndim > 1 else (False,) * len(sizes)


def _cloned(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, Mapping):
        return {name: _cloned(value) for name, value in state.items()}
    return [_cloned(value) for value in state] if isinstance(state, Sequence) else state


def _shrink(parameters: list[Tensor], gradients: list[Tensor], factor: Tensor) -> None:
    """Multiplies parameters by a number on their device, but for elements whose gradient is exactly zero.

    Weights of a grid that joins a latent fit at a later resolution have no gradient before. Shrunk all the
    same, they would be a tenth to a fiftieth of what was drawn for them when it joins.
    """
    factors = torch._foreach_sign(gradients)
    torch._foreach_abs_(factors)
    torch._foreach_mul_(factors, factor - 1)
    torch._foreach_add_(factors, 1.0)
    torch._foreach_mul_(parameters, factors)
