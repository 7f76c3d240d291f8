"""An optimizer's state, where a network has moved the elements of its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from quinr_pl.network.base import Moved


@torch.no_grad()
def follow(optimizer: torch.optim.Optimizer, moved: Iterable[Moved]) -> None:
    """Lets moment estimates, and SOAP's outer products and eigenbases, go with their elements.

    An optimizer that has these takes the same steps as one whose parameters lay so from the start. New
    elements have moments of zero.

    Args:
        optimizer: Adam or SOAP.
        moved: What a network did; see `Network.begin_step`.
    """
    for each in moved:
        state = optimizer.state.get(each.parameter)
        if not state:
            continue
        if each.order is None:
            for name in ("exp_avg", "exp_avg_sq"):
                state[name].zero_()
        else:
            _reorder(state, torch.tensor(each.order, device=each.parameter.device))


def _reorder(state: dict[str, Any], order: Tensor) -> None:
    _select(state["exp_avg"], order, -1)
    basis = state["Q"][-1] if state.get("Q") else None
    if not isinstance(basis, Tensor):
        _select(state["exp_avg_sq"], order, -1)
        return
    # In the eigenbasis second moments stay: its directions are the same ones, told by other elements.
    _select(basis, order, 0)
    products = state["GG"][-1]
    _select(products, order, 0)
    _select(products, order, 1)


def _select(values: Tensor, order: Tensor, axis: int) -> None:
    values.copy_(values.index_select(axis, order))
