"""Whether an engine's kernels work on a device, by trying them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine


def disagreement(
    circuit: Callable[[Ansatz], Callable[[Tensor, Tensor], Tensor]], device: torch.device
) -> str:
    """Why kernels cannot be used on a device, found by a small circuit; or empty.

    Args:
        circuit: Gives, for an ansatz, what computes all probabilities from angles and weights.
        device: Where to try it.
    """
    ansatz = Ansatz(qubits=2, angles=3, uploads=2)
    generator = torch.Generator("cpu").manual_seed(0)
    shapes = ((5, ansatz.features_count), ansatz.weights_shape)
    results = []
    try:
        # On the CPU by name: the caller's default device need not be that of the generator.
        drawn = [torch.randn(shape, generator=generator, device="cpu").to(device) for shape in shapes]
        for run in (circuit(ansatz), partial(TorchEngine().probabilities, ansatz)):
            angles, weights = leaves = [tensor.clone().requires_grad_() for tensor in drawn]
            probabilities = run(angles, weights)
            gradients = torch.autograd.grad(probabilities[:, 0].sum(), leaves)
            results.append([probabilities.detach(), *gradients])
    except Exception as error:  # no library, no driver, no compiler: whatever it is, it cannot be used
        return str(error).strip().partition("\n")[0] or type(error).__name__
    agree = all(torch.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(*results, strict=True))
    return "" if agree else "its results differ from those of engine torch"
