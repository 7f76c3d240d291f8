"""The compiled kernels of latent fits against the same functions in torch, with its own gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quinr_pl.errors import QuinrError
from quinr_pl.network.latent.bands import grid_shape
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY, SCALE_OCTAVES, ContextModel
from quinr_pl.network.latent.pyramid import Upsampling
from quinr_pl.network.layers.filters import filtered
from quinr_pl.ops.context import context_bits, seen_latents
from quinr_pl.ops.laplace import LaplaceContext, laplace_bits
from quinr_pl.ops.relaxation import relaxed
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.upsampling import _UpsampledAlong, interpolated, upsampled

TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}
LARGE = [pytest.param(shape, marks=pytest.mark.slow) for shape in ((70, 33), (90, 130))]
SHAPES = [(1, 1), (5, 3), (16, 32), (37, 53), *LARGE]

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture(params=[1, 2], autouse=True)
def threads(request, wake_all_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def draw(seed, *shape, dtype):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def assert_same(functions, leaves, dtype):
    """Equal values, and equal gradients of a random linear function of them."""
    found = []
    for function in functions:
        values = function()
        weights = draw(9, *values.shape, dtype=dtype)
        found.append([values.detach(), *torch.autograd.grad((values * weights).sum(), leaves)])
    for value, expected in zip(*found, strict=True):
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(value, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def bits_in_torch(model, grids, first):
    result = []
    for index in range(first, len(grids)):
        inputs = seen_latents(grids, index, model.offsets)
        hidden = torch.relu(model.hidden(inputs.T))
        if model.second is not None:
            hidden = torch.relu(hidden + model.second(hidden))
        mean, scale = model.output(hidden).T
        scale = scale + model.grid.bias[index]
        deviation = grids[index].flatten() - mean
        result.append(laplace_bits(deviation, scale, SCALE_OCTAVES, LEAST_PROBABILITY).sum())
    return torch.stack(result)


@dtypes
@shapes
@pytest.mark.parametrize(
    ("neighbours", "width", "first", "layers"),
    [
        *((12, 12, 0, 1), (1, 3, 1, 1), (24, 5, 0, 1), (5, 4, 0, 1), (13, 4, 0, 1)),
        *((12, 16, 0, 2), (1, 3, 1, 2), (24, 29, 0, 2)),
    ],
)
def test_bits_are_those_of_torch(dtype, shape, neighbours, width, first, layers):
    torch.manual_seed(0)
    model = ContextModel(3, neighbours, width, layers).to(dtype)
    for number, parameter in enumerate(model.parameters()):
        parameter.data += 0.3 * draw(number, *parameter.shape, dtype=dtype)
    grids = [3 * draw(i, *grid_shape(*shape, i), dtype=dtype) for i in range(3)]
    leaves = [*model.parameters(), *(grid.requires_grad_() for grid in grids[first:])]
    assert_same([lambda: model(grids, first), lambda: bits_in_torch(model, grids, first)], leaves, dtype)
    with torch.no_grad():
        torch.testing.assert_close(model(grids, first), bits_in_torch(model, grids, first))


@pytest.mark.parametrize("scale", [0.01, 30.0, 1000.0])
def test_bits_of_near_and_far_latents(scale):
    """Where probabilities are tiny or scales reach their bounds, gradients vanish as they do in torch."""
    model = ContextModel(1, 2, 4).double()
    model.output.weight.data *= 40
    grid = (scale * draw(1, 20, 20, dtype=torch.float64)).requires_grad_()
    leaves = [*model.parameters(), grid]
    assert_same([lambda: model([grid]), lambda: bits_in_torch(model, [grid], 0)], leaves, torch.float64)


def test_machine_code_is_kept_apart_by_its_constants():
    """The smallest probability is a constant of the kernel: kept code of another one must not run."""
    weights = [torch.zeros(1, 2), torch.zeros(1), torch.zeros(2, 1), torch.zeros(2), torch.zeros(1)]
    grid = torch.full((1, 1), 1000.0)
    contexts = [LaplaceContext(((0, -1),), (-5, 6), least) for least in (2**-20, 2**-12)]
    bits = [float(context_bits(*weights, grid, context=context)) for context in contexts]
    assert bits == pytest.approx([20, 12])


@dtypes
@shapes
def test_squared_errors_are_those_of_torch(dtype, shape):
    values, picture, known = (draw(i, 3, *shape, dtype=dtype) for i in range(3))
    values.requires_grad_()
    functions = [
        lambda: squared_error(values, picture, known)[None],
        lambda: (known * (values - picture).square()).mean(0, keepdim=True).mean((1, 2)),
    ]
    assert_same(functions, [values], dtype)


@dtypes
@shapes
@pytest.mark.parametrize(("channels", "count"), [(3, 2), (1, 1), (2, 3), (3, 0)])
def test_filters_are_those_of_torch(dtype, shape, channels, count):
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(channels, channels, 3).to(dtype) for _ in range(count)]
    values = draw(1, channels, *shape, dtype=dtype).requires_grad_()

    def in_torch():
        result = values[None]
        for convolution in convolutions:
            result = result + convolution(nn.functional.pad(result, (1, 1, 1, 1), mode="replicate"))
        return result[0]

    leaves = [values, *(p for convolution in convolutions for p in convolution.parameters())]
    assert_same([lambda: filtered(values, convolutions), in_torch], leaves, dtype)


def by_convolution(values, weight):
    """Upsampling by two as a transposed convolution along each axis, of values with repeated edges."""
    taps = torch.stack([weight, weight.flip(0)], 1).flatten()  # of the results -3 to 4 places from a value
    kernel = taps[:, None] * taps
    framed = nn.functional.pad(values[:, None], (2, 2, 2, 2), mode="replicate")
    return nn.functional.conv_transpose2d(framed, kernel[None, None], stride=2)[:, 0, 7:-7, 7:-7]


@dtypes
@shapes
@pytest.mark.parametrize(("levels", "grids"), [(4, 4), (3, 1), (1, 1)])
def test_interpolation_is_that_of_torch(dtype, shape, levels, grids):
    taps = torch.tensor([0, 0.25, 0.75, 0]).to(dtype)
    weight = (taps + 0.1 * draw(5, levels - 1, 4, dtype=dtype)).requires_grad_()
    sizes = [grid_shape(*shape, level) for level in reversed(range(levels))]
    known = [draw(i, *size, dtype=dtype).requires_grad_() for i, size in enumerate(sizes[:grids])]

    def in_torch():
        result = known[0][None]
        for level, (rows, columns) in enumerate(sizes[1:], 1):
            result = by_convolution(result, weight[-level])[:, :rows, :columns]
            result = torch.cat([known[level][None], result]) if level < grids else result
        return result

    leaves = known if levels == 1 else [weight, *known]
    assert_same([lambda: interpolated(weight, known, sizes), in_torch], leaves, dtype)


@dtypes
@shapes
def test_upsampling_is_that_of_torch(dtype, shape):
    leaves = [draw(i, *size, dtype=dtype).requires_grad_() for i, size in enumerate([(2, *shape), (4,)])]
    rows, columns = 2 * shape[0], 2 * shape[1] - 1
    functions = [
        lambda: upsampled(*leaves, (rows, columns)),
        lambda: by_convolution(*leaves)[:, :, :columns],
        lambda: upsampled(*leaves)[:, :, :columns],
    ]
    for function in functions[::2]:
        assert_same([function, functions[1]], leaves, dtype)


@pytest.mark.parametrize("shape", [(8, 14), (10, 12), (11, 14), (10, 15)], ids=str)
def test_upsampling_refuses_shapes_that_are_not_twice_as_large(shape):
    with pytest.raises(QuinrError, match="shapes"):
        upsampled(torch.zeros(1, 5, 7), torch.zeros(4), shape)


@pytest.mark.parametrize("axis", [1, 2])
def test_gradients_of_the_torch_form_are_those_of_finite_differences(axis):
    leaves = [
        draw(i, *size, dtype=torch.float64).requires_grad_() for i, size in enumerate([(2, 9, 8), (4,)])
    ]
    assert torch.autograd.gradcheck(_UpsampledAlong(axis), leaves)
    assert torch.autograd.gradgradcheck(_UpsampledAlong(axis), leaves)


def test_results_do_not_depend_on_threads():
    model = ContextModel(2, 12, 12)
    convolution = nn.Conv2d(3, 3, 3)
    weight = Upsampling(1).weight
    values = draw(3, 3, 300, 200, dtype=torch.float32).requires_grad_()
    grids = [draw(i, 300 >> i, 200 >> i, dtype=torch.float32).requires_grad_() for i in range(2)]
    sizes, key = [(150, 100), (300, 200)], torch.tensor([1, 2])
    leaves = [values, *grids, weight, *model.parameters(), *convolution.parameters()]
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        loss = model(grids).sum() + filtered(values, [convolution]).square().sum()
        loss = loss + interpolated(weight, grids[::-1], sizes).square().sum()
        loss = loss + relaxed([values], key, torch.tensor([[0.2, 0.2]]))[0][0].square().sum()
        loss = loss + squared_error(values, values.detach().flip(0), torch.ones_like(values))
        results.append(torch.autograd.grad(loss, leaves))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
