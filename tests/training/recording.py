"""Graphs without a GPU: operations of torch are written down and done again on the same memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HOST_READS = {"_local_scalar_dense", "equal", "nonzero", "is_nonzero"}


class Written(TorchDispatchMode):
    """Operations as torch dispatches them, views left out.

    Attributes:
        operations: Function, arguments and results of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple, dict, Any]] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        name = function.overloadpacket.__name__
        assert name not in HOST_READS, f"{name} waits for the device"
        results = function(*arguments, **options)
        if not function.is_view:
            self.operations.append((function, arguments, options, results))
        return results


class Recording:
    """A recorder of GraphedSteps: what Python does besides calling operations is gone when it replays.

    Attributes:
        graphs: Operations of each graph.
        replays: How often graphs were replayed.
    """

    def __init__(self) -> None:
        self.graphs: list[list[tuple[Any, tuple, dict, Any]]] = []
        self.replays = 0

    def run(self, function):
        return function()

    def record(self, function):
        with Written() as written:
            result = function()
        self.graphs.append(written.operations)
        done = [True]  # recording has done them once

        def replay():
            self.replays += 1
            if done:
                done.pop()
            else:
                _again(written.operations)
            return result

        return replay


@torch.no_grad()
def _again(operations) -> None:
    for function, arguments, options, results in operations:
        found = function(*arguments, **options)
        for old, new in zip(tree_leaves(results), tree_leaves(found), strict=True):
            if isinstance(old, torch.Tensor) and old is not new:
                old.view_as(new).copy_(new)  # some lose an axis in place
