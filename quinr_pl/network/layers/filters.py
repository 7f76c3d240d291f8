"""Small residual convolutions after the synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from torch import Tensor, nn

from quinr_pl.network.layers.plain_modules import is_plain
from quinr_pl.ops.filters import filtered as residual_filters
from quinr_pl.ops.filters import with_edges


def filtered(values: Tensor, convolutions: Sequence[nn.Module]) -> Tensor:
    """Values plus a 3 x 3 convolution of them, one convolution after the other; edges are repeated.

    Args:
        values: (channels, rows, columns).
        convolutions: nn.Conv2d of 3 x 3 from channels to channels.

    Returns:
        (channels, rows, columns).
    """
    plain = [one for one in convolutions if _is_plain(one)]
    if len(plain) < len(convolutions):
        for convolution in convolutions:
            values = values + convolution(with_edges(values[None]))[0]
        return values
    parameters = [tensor for one in plain for tensor in (one.weight, one.bias) if tensor is not None]
    return residual_filters(values, parameters)


def _is_plain(convolution: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is 3 x 3 with a bias and nothing beside it, as the kernels take it to be."""
    if not (isinstance(convolution, nn.Conv2d) and is_plain(convolution, nn.Conv2d)):
        return False
    found = (convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation)
    expected = ((3, 3), (1, 1), (0, 0), (1, 1))
    return found == expected and convolution.groups == 1 and convolution.bias is not None
