from __future__ import annotations

import pytest
import torch
from cuda_emulation import NEEDS_COMPILER, emulate

from quinr_pl.ops.cuda import orthogonal as on_cuda
from quinr_pl.ops.orthogonal import by_reflections, orthogonal_basis


def in_kernels(matrices):
    return on_cuda.orthogonal_basis(False, matrices)[0]


@pytest.mark.parametrize("basis_of", [by_reflections, pytest.param(in_kernels, marks=NEEDS_COMPILER)])
@pytest.mark.parametrize("size", [1, 2, 9, 28, 40])
def test_bases_are_those_that_lapack_finds(basis_of, size, monkeypatch):
    emulate(monkeypatch)
    lengths = torch.logspace(0, -30, size, dtype=torch.float64)
    matrices = torch.randn(3, size, size, dtype=torch.float64) * lengths
    matrices[1, :, size // 2 :] = 0
    found = basis_of(matrices)
    torch.testing.assert_close(found.mT @ found, torch.eye(size, dtype=torch.float64).expand_as(found))
    expected = orthogonal_basis(matrices)
    signs = (found * expected).sum(1, keepdim=True).sign()
    torch.testing.assert_close(found[::2], (signs * expected)[::2])
    kept = size // 2
    torch.testing.assert_close(found[1, :, :kept], (signs * expected)[1, :, :kept])
    single = basis_of(matrices.float())
    torch.testing.assert_close(single.mT @ single, torch.eye(size).expand_as(single), atol=1e-5, rtol=0)


def test_what_fits_into_a_block():
    assert on_cuda.fits(torch.empty(1, 76, 76))
    assert not on_cuda.fits(torch.empty(1, 77, 77))
    assert not on_cuda.fits(torch.empty(1, 76, 76, dtype=torch.float64))
