"""Weight decay apart from the gradient, as in AdamW, but only of what takes part in a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def shrink(group: Mapping[str, Any], factor: Tensor | float) -> None:
    """Multiplies a group's parameters by a factor, but for elements whose gradient is exactly zero.

    Weights of a grid that joins a latent fit at a later resolution have no gradient before. Shrunk all the
    same, they would be a tenth to a fiftieth of what was drawn for them when it joins.

    Args:
        group: A group of parameters.
        factor: One number, on the parameters' device where it is a tensor; the host does not wait for it.
    """
    moved = [p for p in group["params"] if p.grad is not None]
    if not group["weight_decay"] or not moved:
        return
    factors = torch._foreach_sign([p.grad for p in moved])
    torch._foreach_abs_(factors)
    torch._foreach_mul_(factors, factor - 1)
    torch._foreach_add_(factors, 1.0)
    torch._foreach_mul_(moved, factors)
