"""The kernels of latent fits for CUDA, run on the CPU, against the same functions in torch's operations."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from cuda_emulation import NEEDS_COMPILER, emulate

from quinr_pl.errors import QuinrError
from quinr_pl.native import cuda_compiler
from quinr_pl.native.cuda_code import Program
from quinr_pl.network.latent.bands import grid_shape
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY, NEIGHBOURS, SCALE_OCTAVES
from quinr_pl.ops import columns, context, filters, relaxation, sines, squared_error, upsampling
from quinr_pl.ops.cuda import adam as cuda_adam
from quinr_pl.ops.cuda import columns as cuda_columns
from quinr_pl.ops.cuda import context as cuda_context
from quinr_pl.ops.cuda import filters as cuda_filters
from quinr_pl.ops.cuda import orthogonal as cuda_orthogonal
from quinr_pl.ops.cuda import relaxation as cuda_relaxation
from quinr_pl.ops.cuda import sines as cuda_sines
from quinr_pl.ops.cuda import soap as cuda_soap
from quinr_pl.ops.cuda import squared_error as cuda_squared_error
from quinr_pl.ops.cuda import upsampling as cuda_upsampling
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.laplace import LaplaceContext, weight_shapes

pytestmark = NEEDS_COMPILER
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-12}

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    emulate(monkeypatch)


def draw(seed, *shape, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def results(function, tensors, dtype):
    """Values, and gradients of a random linear function of them."""
    leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    values = function(*leaves)
    weights = draw(9, *values.shape).to(dtype)
    found = torch.autograd.grad((values * weights).sum(), leaves, allow_unused=True)
    return [values.detach(), *found]


def assert_same(kernels, in_torch, tensors, dtype, monkeypatch):
    """What kernels give, in any order of threads, is what torch's operations give in double precision."""
    run = ByDevice(in_torch, cpu=kernels)
    found = results(run, tensors, dtype)
    expected = results(in_torch, tensors, torch.float64)
    for value, right in zip(found, expected, strict=True):
        assert (value is None) == (right is None)
        if right is not None:
            scale = max([1.0, *right.abs().flatten().tolist()])  # of no doublings there are no taps
            torch.testing.assert_close(value.double(), right, rtol=0, atol=TOLERANCE[dtype] * scale)
    monkeypatch.setenv("QUINR_BACKWARDS", "1")
    for value, other in zip(found, results(run, tensors, dtype), strict=True):
        assert value is other or torch.equal(value, other)


def pyramid(shape, grids, scale=3.0):
    return [draw(i, *grid_shape(*shape, i), scale=scale) for i in range(grids)]


@dtypes
@pytest.mark.parametrize(
    ("shape", "neighbours", "width", "second", "first"),
    [
        *(((37, 53), 12, 12, 0, 0), ((1, 1), 1, 3, 0, 1), ((16, 40), 24, 32, 0, 0), ((9, 7), 5, 4, 0, 2)),
        *(((37, 53), 12, 12, 12, 0), ((1, 1), 1, 3, 3, 1), ((16, 40), 24, 24, 24, 0), ((9, 7), 5, 4, 4, 2)),
    ],
)
def test_bits_are_those_of_torch(shape, neighbours, width, second, first, dtype, monkeypatch):
    seen = LaplaceContext(NEIGHBOURS[:neighbours], SCALE_OCTAVES, LEAST_PROBABILITY)
    weights = weight_shapes(seen, width, second, 3)
    tensors = [draw(10 + i, *size, scale=0.3) for i, size in enumerate(weights)] + pyramid(shape, 3)
    settings = {"context": seen, "first": first}
    run, right = partial(cuda_context.context_bits, **settings), partial(context._in_torch, **settings)
    assert_same(run, right, tensors, dtype, monkeypatch)


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_bits_of_near_and_far_latents(scale, monkeypatch):
    """Where probabilities are tiny or scales reach their bounds, gradients vanish."""
    seen = LaplaceContext(NEIGHBOURS[:2], SCALE_OCTAVES, LEAST_PROBABILITY)
    weights = [draw(i, *size, scale=5.0) for i, size in enumerate([(4, 3), (4,), (2, 4), (2,), (1,)])]
    tensors = [*weights, draw(7, 20, 20, scale=scale)]
    settings = {"context": seen, "first": 0}
    run, right = partial(cuda_context.context_bits, **settings), partial(context._in_torch, **settings)
    assert_same(run, right, tensors, torch.float64, monkeypatch)


@dtypes
@pytest.mark.parametrize(
    ("shape", "levels", "grids"),
    [
        *(((1, 1), 4, 4), ((5, 3), 1, 1), ((24, 34), 3, 1), ((37, 53), 4, 4)),
        ((74, 107), 5, 5),  # an odd number of values, then rows of even lengths, whose pairs are aligned
    ],
)
def test_interpolation_is_that_of_torch(shape, levels, grids, dtype, monkeypatch):
    sizes = [grid_shape(*shape, level) for level in reversed(range(levels))]
    weight = torch.tensor([0, 0.25, 0.75, 0]).double() + draw(5, levels - 1, 4, scale=0.1)
    tensors = [weight, *(draw(i, *size) for i, size in enumerate(sizes[:grids]))]
    run = partial(cuda_upsampling.interpolated, shapes=sizes)

    def in_torch(weight, *known):
        return upsampling._interpolated_in_torch(weight, *known, shapes=sizes) + 0 * weight.sum()

    assert_same(run, in_torch, tensors, dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize(("shape", "finer"), [((5, 7), (10, 14)), ((20, 33), (39, 65))])
def test_upsampling_is_that_of_torch(shape, finer, dtype, monkeypatch):
    tensors = [draw(1, 2, *shape), draw(2, 4)]
    run = partial(cuda_upsampling.upsampled, shape=finer)
    right = partial(upsampling._upsampled_in_torch, shape=finer)
    assert_same(run, right, tensors, dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize(
    ("shape", "channels", "count"), [((37, 53), 3, 2), ((1, 1), 1, 1), ((9, 70), 2, 3), ((5, 3), 12, 1)]
)
def test_filters_are_those_of_torch(shape, channels, count, dtype, monkeypatch):
    sizes = [(channels, channels, 3, 3), (channels,)] * count
    tensors = [draw(1, channels, *shape), *(draw(2 + i, *size, scale=0.3) for i, size in enumerate(sizes))]
    assert_same(cuda_filters.filtered, filters._in_torch, tensors, dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize("shapes", [[(1,)], [(3, 11), (70, 13), (1, 1)]], ids=str)
def test_relaxation_is_that_of_torch(shapes, dtype, monkeypatch):
    """With the same noise."""
    key = torch.tensor([0xDEADBEEF, 0xFFFFFFFF])
    settings = torch.tensor([[0.25, 0.2], [0.35, 0.1], [0.1, 0.3]])[: len(shapes)]

    def run(keep, *grids):
        return cuda_relaxation.relaxed(keep, *grids, key=key, settings=settings.to(grids[0]))

    def right(*grids):
        return relaxation._in_torch(*grids, key=key, settings=settings.to(grids[0]))

    tensors = [draw(i, *shape, scale=3) for i, shape in enumerate(shapes)]
    assert_same(run, right, tensors, dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize("count", [1, 5000])
def test_squared_error_is_that_of_torch(count, dtype, monkeypatch):
    picture, known = draw(1, 2, count), draw(2, 2, count).abs()
    given = {"picture": picture.to(dtype), "known": known.to(dtype)}
    run = partial(cuda_squared_error.squared_error, **given)

    def right(values):
        return squared_error._in_torch(values, **{name: t.to(values) for name, t in given.items()})

    assert_same(run, right, [draw(3, 2, count)], dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("count", "features", "angles"), [(1, 2, 12), (300, 7, 16), (129, 1, 1)])
def test_sines_are_those_of_torch(count, features, angles, transposed, dtype, monkeypatch):
    settings = {"frequency": 1.7, "scale": 0.6}
    run, right = partial(cuda_sines.sines, **settings), partial(sines._in_torch, **settings)
    inputs = draw(1, features, count).T if transposed else draw(1, count, features)
    assert_same(run, right, [inputs, draw(2, angles, features), draw(3, angles)], dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("count", "inputs", "outputs", "constant", "scale", "shift"),
    [
        *((1, 7, 3, False, 1.0, 0.0), (300, 16, 3, True, 16.0, -1.0)),
        *((129, 1, 1, True, 1.0, 0.0), (40, 5, 2, False, 0.5, 2.0)),
    ],
)
def test_linear_functions_of_columns_are_those_of_torch(
    count, inputs, outputs, constant, scale, shift, transposed, dtype, monkeypatch
):
    values = draw(1, count, inputs).T if transposed else draw(1, inputs, count)
    tensors = [draw(2, outputs, inputs), values, *([draw(3, outputs)] if constant else [])]
    settings = {"scale": scale, "shift": shift}
    run, right = partial(cuda_columns.combined, **settings), partial(columns._in_torch, **settings)
    assert_same(run, right, tensors, dtype, monkeypatch)


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
def test_errors_of_known_values_are_those_of_torch(transposed, dtype, monkeypatch):
    picture = draw(2, 300, 3)
    picture[draw(4, 300, 3) > 1] = torch.nan
    values = draw(3, 3, 300).T if transposed else draw(3, 300, 3)

    def kernels(keep, values):
        return cuda_squared_error.squared_error(keep, values, picture=picture.to(values), known=None)

    def in_torch(values):
        return squared_error._of_known_in_torch(values, picture=picture.to(values))

    assert_same(kernels, in_torch, [values], dtype, monkeypatch)


def nvrtc_is_missing():
    try:
        return not cuda_compiler.version()
    except QuinrError:
        return True


@pytest.mark.skipif(nvrtc_is_missing(), reason="NVRTC is not installed")
@pytest.mark.parametrize("dtype", ["float", "double"])
def test_kernels_are_compiled_for_gpus(dtype, monkeypatch):
    """Whatever the emulated kernels were compiled with."""
    compiled = []

    def kernel(program, name, device):
        constants = (("real", dtype), *program.constants[1:])
        if program not in compiled:
            compiled.append(program)
            assert cuda_compiler.compiled(program.source, "sm_90", constants).startswith(b"\x7fELF")
        return lambda *_: None

    monkeypatch.setattr(Program, "kernel", kernel)
    seen = LaplaceContext(NEIGHBOURS[:12], SCALE_OCTAVES, LEAST_PROBABILITY)
    weights = [torch.zeros(size) for size in [(12, 13), (12,), (2, 12), (2,), (2,)]]
    grids = [torch.zeros(4, 4), torch.zeros(2, 2)]
    cuda_context.context_bits(True, *weights, *grids, context=seen, first=0)
    cuda_upsampling.interpolated(True, torch.zeros(1, 4), *grids[::-1], shapes=[(2, 2), (4, 4)])
    cuda_filters.filtered(True, torch.zeros(3, 4, 4), torch.zeros(3, 3, 3, 3), torch.zeros(3))
    cuda_relaxation.relaxed(True, *grids, key=torch.zeros(2, dtype=torch.int64), settings=torch.zeros(2, 2))
    cuda_squared_error.squared_error(True, *grids[:1], picture=grids[0], known=grids[0])
    cuda_sines.sines(True, torch.zeros(4, 7), torch.zeros(16, 7), torch.zeros(16), frequency=1.0, scale=1.0)
    cuda_columns.combined(True, torch.zeros(3, 7), torch.zeros(7, 4))
    cuda_columns.combined(True, torch.zeros(3, 7), torch.zeros(7, 4), torch.zeros(3), scale=16.0, shift=-1.0)
    cuda_orthogonal.orthogonal_basis(False, torch.eye(5)[None])
    matrices = [torch.zeros(2, 5, 5) for _ in range(2)]
    axes = [matrices[0], None], [matrices[1], None]
    state = cuda_soap.SoapState(torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), *axes, [(5, 4), (3, 4)])
    pair = [torch.zeros(5, 4), torch.zeros(3, 4)]
    cuda_soap.soap_step(pair, pair, [0, 0], state, torch.zeros(1, 2), (0.1, 0.1), 1e-8, True)
    cuda_adam.adam_step(pair, pair, pair, pair, torch.tensor(-0.1), (0.1, 0.1), 1e-8)
    assert len(compiled) == 11  # sums are taken on the way back alone


def test_what_has_no_kernels_is_left_to_torch(monkeypatch):
    """With a warning, which comes once."""

    def kernel(program, name, device):
        raise QuinrError("no NVRTC")

    monkeypatch.setattr(Program, "kernel", kernel)
    run = ByDevice(filters._in_torch, cpu=cuda_filters.filtered)
    tensors = [draw(i, *size) for i, size in enumerate([(2, 4, 5), (2, 2, 3, 3), (2,)])]
    with pytest.warns(UserWarning, match="no NVRTC; torch's operations take their place"):
        found = results(run, tensors, torch.float64)
    again = results(run, tensors, torch.float64)
    expected = results(filters._in_torch, tensors, torch.float64)
    for first, second, right in zip(found, again, expected, strict=True):
        torch.testing.assert_close(first, right)
        assert torch.equal(second, right)
    assert list(run.failures.values()) == ["no NVRTC"]
