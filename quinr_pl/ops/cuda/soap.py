"""A step of SOAP for CUDA; see soap.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_double, c_int, c_void_p
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable
from quinr_pl.ops.cuda.programs import SHARED_BYTES, Constants, kernel

_MOST_MEMBERS = 32
"""Arrays of a launch."""
_THREADS = 256


@dataclass(frozen=True)
class SoapState:
    """Moments and eigenbases of arrays that are padded to one shape.

    Args:
        first: First moments, (arrays, *sizes).
        second: Second moments in the eigenbases, of the same shape.
        products: Decaying outer products of each axis, (arrays, size, size); None where it keeps its basis.
        basis: Their eigenbases, likewise.
        lengths: Of each array along the axes, of which it fills the beginning.
    """

    first: Tensor
    second: Tensor
    products: Sequence[Tensor | None]
    basis: Sequence[Tensor | None]
    lengths: Sequence[Sequence[int]]

    def fits(self) -> bool:
        """Whether a block's shared memory holds an array with its eigenbases."""
        sizes = self.first.shape[1:]
        longest = max(sizes)
        bases = (len(sizes) + 2) * longest * (longest | 1)
        return (3 * prod(sizes) + longest + bases) * self.first.element_size() <= SHARED_BYTES


def soap_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    groups: Sequence[int],
    state: SoapState,
    coefficients: Tensor,
    shares: tuple[float, float],
    eps: float,
    refresh: bool,
) -> None:
    """Move parameters, their moments, outer products and, where asked to, eigenbases.

    Args:
        parameters: Contiguous, of the state's lengths but for axes of length 1.
        gradients: Of the same shapes.
        groups: Row of the coefficients of each.
        state: Of all of them.
        coefficients: What an update is multiplied by, and then the parameter, (groups, 2).
        shares: Of what is new in the first and the second moments.
        eps: What keeps the division finite.
        refresh: Whether the eigenbases follow.

    Raises:
        NoKernelsError: If they cannot be compiled or loaded.
    """
    check_readable("SOAP", *parameters, *gradients, coefficients, device=coefficients.device.type)
    gradients = [gradient.contiguous() for gradient in gradients]
    sizes = state.first.shape[1:]
    constants: Constants = {
        "AXES": len(sizes),
        "SIZES": ",".join(map(str, sizes)),
        "ELEMENTS": prod(sizes),
        "LONGEST": max(sizes),
        "MOST_MEMBERS": _MOST_MEMBERS,
    }
    run = kernel("soap", "soap", state.first, constants, _THREADS)
    axes = len(sizes)
    moments = state.first.data_ptr(), state.second.data_ptr()
    places = _state_type(axes)(*moments, _addresses(state.products), _addresses(state.basis))
    settings = _Settings(*shares, eps, refresh)
    for start in range(0, len(parameters), _MOST_MEMBERS):
        members = (_member_type(axes) * _MOST_MEMBERS)()
        indices = range(start, min(start + _MOST_MEMBERS, len(parameters)))
        for place, index in zip(members, indices, strict=False):
            place.parameter, place.gradient = parameters[index].data_ptr(), gradients[index].data_ptr()
            place.index, place.group = index, groups[index]
            place.lengths[:] = state.lengths[index]
        run(len(indices), _THREADS, members, places, settings, coefficients)
    torch.autograd.graph.increment_version(list(parameters))  # as operations in place do: graphs notice


def _addresses(tensors: Sequence[Tensor | None]) -> Any:
    """Pointers, null in the place of None."""
    return (c_void_p * len(tensors))(*(None if one is None else one.data_ptr() for one in tensors))


class _Settings(Structure):
    """As in soap.cu."""

    _fields_ = (("first", c_double), ("second", c_double), ("eps", c_double), ("refresh", c_int))


@cache
def _member_type(axes: int) -> Any:
    """Member of soap.cu."""
    pointers = [("parameter", c_void_p), ("gradient", c_void_p)]
    numbers = [("index", c_int), ("group", c_int), ("lengths", c_int * axes)]
    return type("Member", (Structure,), {"_fields_": [*pointers, *numbers]})


@cache
def _state_type(axes: int) -> Any:
    """State of soap.cu."""
    moments = [("first", c_void_p), ("second", c_void_p)]
    per_axis = [("products", c_void_p * axes), ("basis", c_void_p * axes)]
    return type("State", (Structure,), {"_fields_": [*moments, *per_axis]})
