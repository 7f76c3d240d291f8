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
    """

    first: Tensor
    second: Tensor
    products: Sequence[Tensor | None]
    basis: Sequence[Tensor | None]

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
        parameters: Contiguous; axes longer than 1 are those of the state, in order.
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
    types = _types(len(sizes))
    moments = (state.first.data_ptr(), state.second.data_ptr())
    places = types.state(
        *moments, *([_address(one) for one in axes] for axes in (state.products, state.basis))
    )
    settings = _Settings(*shares, eps, refresh)
    for start in range(0, len(parameters), _MOST_MEMBERS):
        members = types.members()
        stop = min(start + _MOST_MEMBERS, len(parameters))
        for place, index in zip(members, range(start, stop), strict=False):
            parameter, gradient = parameters[index], gradients[index]
            lengths = [size for size in parameter.shape if size > 1]
            lengths += [1] * (len(sizes) - len(lengths))
            pointers = parameter.data_ptr(), gradient.data_ptr()
            place.parameter, place.gradient = pointers
            place.index, place.group, place.lengths[:] = index, groups[index], lengths
        run(stop - start, _THREADS, members, places, settings, coefficients)
    torch.autograd.graph.increment_version(list(parameters))  # as operations in place do: graphs notice


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


class _Settings(Structure):
    """As in soap.cu."""

    _fields_ = (("first", c_double), ("second", c_double), ("eps", c_double), ("refresh", c_int))


@dataclass(frozen=True)
class _Types:
    """Structures of soap.cu for a number of axes."""

    members: Any
    state: Any


@cache
def _types(axes: int) -> _Types:
    member = [("parameter", c_void_p), ("gradient", c_void_p), ("index", c_int), ("group", c_int)]
    per_axis = c_void_p * axes
    state = [("first", c_void_p), ("second", c_void_p), ("products", per_axis), ("basis", per_axis)]
    members: Any = type("Member", (Structure,), {"_fields_": [*member, ("lengths", c_int * axes)]})

    def state_of(first: int, second: int, products: Sequence[Any], basis: Sequence[Any]) -> Any:
        return made(first, second, per_axis(*products), per_axis(*basis))

    made: Any = type("State", (Structure,), {"_fields_": state})
    return _Types(members * _MOST_MEMBERS, state_of)
