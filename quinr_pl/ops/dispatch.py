"""One function for all devices: kernels where there are some, torch operations elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from quinr_pl.native.operation import Gradients, Operation

Kernels = Callable[..., tuple[Tensor, Gradients]]
"""``(keep, *tensors, **settings)`` to the values and what finds the gradients; see Operation.run."""


class ByDevice:
    """A function of tensors, ``(*tensors, **settings)``, differentiable in all of them.

    Args:
        in_torch: The function in torch operations, which autograd differentiates: for devices without
            kernels, second derivatives and the transforms of ``torch.func``.
        kernels: The same with its gradients, by device type.
    """

    def __init__(self, in_torch: Callable[..., Tensor], **kernels: Kernels) -> None:
        self._in_torch, self._kernels = in_torch, kernels

    def __call__(self, *tensors: Tensor, **settings: Any) -> Tensor:
        """Values of the operation, with gradients."""
        devices = {tensor.device.type for tensor in tensors}
        kernels = self._kernels.get(devices.pop()) if len(devices) == 1 else None
        if kernels is None:
            return self._in_torch(*tensors, **settings)
        return _Call(self._in_torch, kernels, settings)(*tensors)


@dataclass(frozen=True)
class _Call(Operation):
    """The function with its settings, on a device that has kernels."""

    torch_form: Callable[..., Tensor]
    kernels: Kernels
    settings: Mapping[str, Any]

    def run(self, keep: bool, *tensors: Tensor) -> tuple[Tensor, Gradients]:
        return self.kernels(keep, *tensors, **self.settings)

    def in_torch(self, *tensors: Tensor) -> Tensor:
        return self.torch_form(*tensors, **self.settings)
