"""Random inputs of circuits, and when results of two engines agree."""

from __future__ import annotations

import torch

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def inputs(ansatz, batch, dtype=torch.float64, seed=0, device="cpu"):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)

    angles, weights = draw(batch, ansatz.features_count), draw(*ansatz.weights_shape)
    return angles.requires_grad_(), weights.requires_grad_(), draw(batch, ansatz.states)


def assert_agree(found, expected, tolerance):
    for value, reference in zip(found, expected, strict=True):
        scale = max(1.0, float(reference.abs().max())) if reference.numel() else 1.0
        torch.testing.assert_close(value.double(), reference.double(), rtol=0, atol=tolerance * scale)
