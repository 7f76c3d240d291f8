"""One function for all devices: kernels where there are some, torch operations elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from quinr_pl.native.operation import Gradients, Operation

Kernels = Callable[..., tuple[Tensor, Gradients]]
"""``(keep, *tensors, **settings)`` to the values and what finds the gradients; see Operation.run."""


class NoKernelsError(Exception):
    """Kernels could not be compiled or loaded where they were asked for."""


class ByDevice:
    """A function of tensors, ``(*tensors, **settings)``, differentiable in all of them.

    Args:
        in_torch: The function in torch operations, which autograd differentiates: for devices without
            kernels, second derivatives and the transforms of ``torch.func``.
        kernels: The same with its gradients, by device type. Where they raise NoKernelsError, torch's
            operations take their place from then on.

    Attributes:
        failures: Why they did so, by device, dtype and shapes of the tensors.
    """

    def __init__(self, in_torch: Callable[..., Tensor], **kernels: Kernels) -> None:
        self._in_torch, self._kernels = in_torch, kernels
        self.failures: dict[Hashable, str] = {}

    def __call__(self, *tensors: Tensor, **settings: Any) -> Tensor:
        """Values of the operation, with gradients."""
        devices = {tensor.device.type for tensor in tensors}
        kernels = self._kernels.get(devices.pop()) if len(devices) == 1 else None
        if kernels is None or (self.failures and _kind(tensors) in self.failures):
            return self._in_torch(*tensors, **settings)
        return _Call(self, self._in_torch, kernels, settings)(*tensors)

    def give_up(self, tensors: Sequence[Tensor], reason: str) -> None:
        """Leave tensors of this kind to torch's operations, with a warning."""
        self.failures[_kind(tensors)] = reason
        warnings.warn(f"{reason}; torch's operations take their place", stacklevel=2)


def _kind(tensors: Sequence[Tensor]) -> Hashable:
    return tensors[0].device, tensors[0].dtype, tuple(tensor.shape for tensor in tensors)


@dataclass(frozen=True)
class _Call(Operation):
    """The function with its settings, on a device that has kernels."""

    function: ByDevice
    torch_form: Callable[..., Tensor]
    kernels: Kernels
    settings: Mapping[str, Any]

    def run(self, keep: bool, *tensors: Tensor) -> tuple[Tensor, Gradients]:
        try:
            return self.kernels(keep, *tensors, **self.settings)
        except NoKernelsError as error:
            self.function.give_up(tensors, str(error))
            return self._run_in_torch(keep, *tensors)

    def in_torch(self, *tensors: Tensor) -> Tensor:
        return self.torch_form(*tensors, **self.settings)

    def _run_in_torch(self, keep: bool, *tensors: Tensor) -> tuple[Tensor, Gradients]:
        leaves = [tensor.detach().requires_grad_(keep) for tensor in tensors]
        with torch.set_grad_enabled(keep):
            values = self.in_torch(*leaves)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> Sequence[Tensor | None]:
            return torch.autograd.grad(values, leaves, cotangent, allow_unused=True)

        return values.detach(), gradients
