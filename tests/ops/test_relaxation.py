"""Noise and soft rounding against published numbers of the generator and against torch in float64."""

from __future__ import annotations

import math

import pytest
import torch

from quinr_pl.ops.noise import draw_key, normal_noise, philox
from quinr_pl.ops.relaxation import relaxed


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), 0, (0xFF1DAE59, 0x6CD10DF2)),
        ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, (0x2C3F628B, 0xAB4FD7AD)),
        ((0x243F6A88, 0x85A308D3), 0x13198A2E, (0xDD7CE038, 0xF62A4C12)),
    ],
)
def test_words_are_those_of_the_authors(counter, key, expected):
    """Known answers of Random123 for philox2x32 of ten rounds."""
    words = [torch.tensor(word) for word in (*counter, key)]
    assert tuple(int(word) for word in philox((words[0], words[1]), words[2])) == expected


def test_noise_is_normal():
    noise = normal_noise(torch.tensor([5, 6]), torch.Size([200_001]), torch.float64)
    tolerance = 5 / math.sqrt(noise.numel())
    for power, moment in enumerate((0, 1, 0, 3), 1):
        assert abs(float((noise**power).mean()) - moment) < 10 * tolerance
    assert abs(float((noise[1:] * noise[:-1]).mean())) < tolerance  # those of a pair are independent
    quantile = float((noise < 1.0).double().mean())
    assert abs(quantile - 0.5 * (1 + math.erf(math.sqrt(0.5)))) < tolerance


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("shape", [(1,), (3, 11), (32,), (4, 8, 9), (70, 130)], ids=str)
def test_kernels_relax_as_torch_does(dtype, tolerance, shape):
    """Tangents and exponentials by torch, with the noise that stands beside the kernels' own."""
    key = torch.tensor([0xDEADBEEF, 0x80000001])
    generator = torch.Generator().manual_seed(0)
    latents = (4 * torch.randn(shape, generator=generator, dtype=dtype)).requires_grad_()
    cotangent = torch.randn(shape, generator=generator, dtype=dtype)
    settings = torch.tensor([[0.25, 0.2]], dtype=dtype)
    ((values,),) = relaxed([latents], key, settings)
    exact = latents.detach().double().requires_grad_()
    expected = staircase(staircase(exact) + 0.2 * normal_noise(key, exact.shape, torch.float64))
    (gradient,) = torch.autograd.grad(values, latents, cotangent)
    (reference,) = torch.autograd.grad(expected, exact, cotangent.double())
    torch.testing.assert_close(values.double(), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(gradient.double(), reference, rtol=0, atol=20 * tolerance)
    with torch.no_grad():
        assert torch.equal(relaxed([latents], key, settings)[0][0], values)


def staircase(values):
    middle = values.floor() + 0.5
    return middle + 0.5 * ((values - middle) / 0.25).tanh() / math.tanh(2)


def test_keys_follow_the_seed():
    torch.manual_seed(3)
    first, second = (draw_key(torch.device("cpu")) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(draw_key(torch.device("cpu")), first)
    assert not torch.equal(first, second)
