"""Derivatives beyond the first, and tensors that are more than memory: right from every engine and kernel."""

from __future__ import annotations

import warnings
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import apply_gates
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.errors import QuinrError
from quinr_pl.network.layers.filters import filtered
from quinr_pl.ops.context import context_bits
from quinr_pl.ops.laplace import LaplaceContext
from quinr_pl.ops.relaxation import relaxed
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.upsampling import interpolated, upsampled

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pennylane as qml

ANSATZ = Ansatz(qubits=2, angles=3, uploads=2)
DEVICE = {"triton": "cuda" if torch.cuda.is_available() else "cpu"}
NEEDS_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
engines = pytest.mark.parametrize(
    "name",
    [
        "cpu",
        "torch",
        "lightning",
        "lightning_vjp",
        pytest.param("triton", marks=(NEEDS_TRITON, pytest.mark.slow)),
    ],
)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pennylane(angles, weights):
    """Probabilities by default.qubit, through whose operations torch differentiates."""

    @qml.qnode(qml.device("default.qubit", wires=ANSATZ.qubits), interface="torch", diff_method="backprop")
    def circuit(angles, weights):
        apply_gates(ANSATZ, angles, weights)
        return qml.probs(wires=range(ANSATZ.qubits))

    return circuit(angles, weights)


def by(name):
    """Probabilities of an engine, from tensors on the CPU."""
    device = DEVICE.get(name, "cpu")
    engine = choose(name, device)
    return lambda a, w: engine.probabilities(ANSATZ, a.to(device), w.to(device)).cpu()


def leaves():
    return draw(0, 2, 3).requires_grad_(), draw(1, *ANSATZ.weights_shape).requires_grad_()


def slope(function, angles, weights):
    """What a physics-informed fit asks for: dy/dx of a linear function y of the probabilities."""
    value = (function(angles, weights) @ torch.arange(4.0, dtype=torch.float64)).sum()
    return torch.autograd.grad(value, angles, create_graph=True)[0]


def second_derivatives(function):
    """Of a linear and of a quadratic loss, in angles and weights, and of losses of a derivative."""
    angles, weights = leaves()
    wave = slope(function, angles, weights)
    results = [wave, *torch.autograd.grad(wave.sum(), (angles, weights), retain_graph=True)]
    results += torch.autograd.grad((wave**2).sum(), (angles, weights))
    value = (function(angles, weights)[:, 1:] ** 2).sum()
    first = torch.autograd.grad(value, (angles, weights), create_graph=True)
    results += torch.autograd.grad(first[0].sum() + (first[1] ** 2).sum(), (angles, weights))
    return [result.detach() for result in results]


@engines
def test_second_derivatives_are_those_of_pennylane(name):
    for found, expected in zip(second_derivatives(by(name)), second_derivatives(pennylane), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        assert found.abs().max() > 1e-3


@engines
def test_third_derivatives_are_those_of_pennylane(name):
    results = []
    for function in (by(name), pennylane):
        angles, weights = leaves()
        second = torch.autograd.grad(slope(function, angles, weights).sum(), angles, create_graph=True)[0]
        results.append(torch.autograd.grad(second.sum(), weights)[0])
    torch.testing.assert_close(*results, rtol=0, atol=1e-10)


@engines
def test_tensors_that_depend_on_each_other(name):
    """A gradient in the angles must not pass through weights that are made of them."""
    results = []
    for function in (by(name), pennylane):
        angles, weights = leaves()
        first = slope(function, angles, weights * angles.sum())
        results.append(torch.autograd.grad(first.sum(), (angles, weights)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


TRANSFORMS = {
    "hessian": lambda f, a, w: torch.func.hessian(lambda w: f(a, w)[:, 1].sum())(w),
    "jacrev": lambda f, a, w: torch.func.jacrev(f)(a, w),
    "jacfwd": lambda f, a, w: torch.func.jacfwd(f, argnums=1)(a, w),
    "vmap": lambda f, a, w: torch.func.vmap(lambda a: f(a[None], w)[0])(a),
    "vmap of grad": lambda f, a, w: torch.func.vmap(
        torch.func.grad(lambda a, w: f(a[None], w)[0, 2]), (0, None)
    )(a, w),
    "jvp": lambda f, a, w: torch.func.jvp(lambda a: f(a, w), (a,), (torch.ones_like(a),))[1],
    "forward mode": lambda f, a, w: forward(f, a, w),
    "jacobian": lambda f, a, w: torch.autograd.functional.jacobian(lambda w: f(a, w), w),
    "hessian by autograd": lambda f, a, w: torch.autograd.functional.hessian(
        lambda w: f(a, w)[:, 1].sum(), w
    ),
}


def forward(function, angles, weights):
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(angles, torch.ones_like(angles))
        return forward_ad.unpack_dual(function(dual, weights)).tangent


FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own use of it


@FORWARD_MODE
@engines
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_of_torch(name, transform):
    angles, weights = (leaf.detach() for leaf in leaves())
    found = transform(by(name), angles, weights)
    expected = transform(pennylane, angles, weights)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["cpu", pytest.param("triton", marks=NEEDS_TRITON), "lightning_vjp"])
def test_batched_cotangents_are_refused(name):
    """Torch's older vmap, for which kernels have no rule, must not end in wrong numbers."""
    angles, weights = leaves()
    with pytest.raises(RuntimeError, match=r"Cannot access|Batching rule"):
        torch.autograd.functional.jacobian(lambda w: by(name)(angles, w), weights, vectorize=True)


@engines
def test_finite_differences_agree(name):
    function = by(name)
    assert torch.autograd.gradgradcheck(lambda a, w: function(a, w)[:, :3], leaves())


def sine_layer(x, weight, bias, weights, readout):
    return choose("cpu").sine_layer(ANSATZ, x, weight, bias, weights, readout, omega0=2.0, angle_scale=0.8)


def residual_layer(*tensors):
    return choose("cpu").residual_layer(ANSATZ, *tensors, omega0=2.0, angle_scale=0.8)


def filters(values, *parameters):
    convolutions = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        convolution = nn.Conv2d(2, 2, 3)
        del convolution.weight, convolution.bias
        convolution.weight, convolution.bias = weight, bias
        convolutions.append(convolution)
    return filtered(values, convolutions)


KERNELS = {
    "probabilities": (
        lambda a, w: choose("cpu").probabilities(ANSATZ, a, w),
        [draw(0, 3, 3), draw(1, *ANSATZ.weights_shape)],
    ),
    "sine layer": (
        sine_layer,
        [draw(0, 3, 2), draw(1, 3, 2), draw(2, 3), draw(3, *ANSATZ.weights_shape), draw(4, 2, 4)],
    ),
    "residual layer": (
        residual_layer,
        [
            *(draw(0, 3, 2), draw(1, 3, 2), draw(2, 3), draw(3, *ANSATZ.weights_shape)),
            *(draw(4, 2, 4), draw(5, 2, 2), draw(6, 2)),
        ],
    ),
    "bits": (
        partial(context_bits, context=LaplaceContext(((0, -1), (-1, 0), (-1, 1)), (-5, 6), 2**-20)),
        [draw(i, *s) for i, s in enumerate([(3, 4), (3,), (2, 3), (2,), (2,), (5, 4), (3, 2)])],
    ),
    "bits by two hidden layers": (
        partial(context_bits, context=LaplaceContext(((0, -1), (-1, 1)), (-5, 6), 2**-20)),
        [draw(i, *s) for i, s in enumerate([(3, 3), (3,), (3, 3), (3,), (2, 3), (2,), (2,), (5, 4), (3, 2)])],
    ),
    "filters": (
        filters,
        [draw(i, *s) for i, s in enumerate([(2, 4, 3), (2, 2, 3, 3), (2,), (2, 2, 3, 3), (2,)])],
    ),
    "interpolation": (
        lambda weight, *grids: interpolated(weight, grids, [(2, 1), (3, 2), (5, 4)]),
        [draw(0, 2, 4), draw(1, 2, 1), draw(2, 3, 2)],
    ),
    "relaxation": (
        lambda *grids: torch.cat(
            [
                part.flatten()
                for part in relaxed(
                    grids, torch.tensor([3, 4]), torch.tensor([[0.3, 0.2], [0.2, 0.1]]).double()
                )[0]
            ]
        ),
        [2 * draw(0, 5, 9), 2 * draw(1, 3)],
    ),
    "squared error": (
        lambda values: squared_error(values, draw(1, 2, 9, 5), draw(2, 2, 9, 5))[None],
        [draw(0, 2, 9, 5)],
    ),
    "upsampling": (partial(upsampled, shape=(5, 4)), [draw(0, 2, 3, 2), draw(1, 4)]),
}
kernels = pytest.mark.parametrize(("function", "tensors"), KERNELS.values(), ids=KERNELS)


@FORWARD_MODE
@kernels
def test_kernels_have_second_derivatives(function, tensors):
    given = [tensor.clone().requires_grad_() for tensor in tensors]
    assert torch.autograd.gradgradcheck(function, given)
    tangents = [draw(20 + i, *tensor.shape) for i, tensor in enumerate(tensors)]
    step = 1e-6
    moved = [
        function(*(t + sign * step * d for t, d in zip(tensors, tangents, strict=True))) for sign in (1, -1)
    ]
    found = torch.func.jvp(function, tuple(tensors), tuple(tangents))[1]
    torch.testing.assert_close(found, (moved[0] - moved[1]) / (2 * step), rtol=1e-5, atol=1e-6)


@kernels
def test_tensors_changed_in_place_are_noticed(function, tensors):
    for index in range(len(tensors)):
        given = [tensor.clone().requires_grad_() for tensor in tensors]
        result = function(*given)
        with torch.no_grad():
            given[index].mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result.sum().backward()


def negated(tensor):
    """The same numbers, of which memory holds the negative."""
    view = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert view.is_neg()
    return view


LAYOUTS = {
    "negated": negated,
    "transposed": lambda t: t.movedim(-1, 0).contiguous().movedim(0, -1),
    "strided": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "flipped twice": lambda t: t.flip(0).flip(0),
    "offset": lambda t: torch.cat([t[:1], t])[1:],
}


@kernels
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_kernels_read_tensors_in_any_layout(function, tensors, layout):
    results = []
    for change in (torch.clone, layout):
        given = [change(tensor).requires_grad_() for tensor in tensors]
        values = function(*given)
        cotangent = draw(9, *values.shape)
        results.append([values, *torch.autograd.grad(values, given, change(cotangent))])
        with torch.no_grad():
            results[-1].append(function(*given))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@kernels
def test_expanded_cotangents_and_gradients_of_some(function, tensors):
    given = [tensor.clone().requires_grad_() for tensor in tensors]
    expected = torch.autograd.grad(function(*given).clone().sum(), given)
    for index in range(len(tensors)):
        some = [tensor.clone().requires_grad_(i == index) for i, tensor in enumerate(tensors)]
        function(*some).sum().backward()
        torch.testing.assert_close(some[index].grad, expected[index], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64], ids=str)
@kernels
def test_kernels_refuse_what_they_would_misread(function, tensors, dtype):
    if len(tensors) > 1:
        with pytest.raises(QuinrError, match=r"float32"):
            function(tensors[0].to(dtype), *tensors[1:])
    if dtype != torch.float32:
        with pytest.raises(QuinrError, match=r"float32"):
            function(*(tensor.to(dtype) for tensor in tensors))


@pytest.mark.parametrize("name", ["bits", "filters", "interpolation"])
def test_kernels_refuse_shapes_that_they_would_misread(name):
    function, tensors = KERNELS[name]
    for index in range(min(5, len(tensors))):
        longer = list(tensors)
        longer[index] = torch.cat([tensors[index], tensors[index]])
        with pytest.raises((QuinrError, RuntimeError), match=r"shapes|size"):
            function(*longer)


@engines
def test_engines_read_negated_tensors(name):
    function = by(name)
    angles, weights = (leaf.detach() for leaf in leaves())
    given = [negated(tensor).requires_grad_() for tensor in (angles, weights)]
    values = function(*given)
    cotangent = draw(9, *values.shape)
    found = [values, *torch.autograd.grad(values, given, negated(cotangent))]
    given = [angles.clone().requires_grad_(), weights.clone().requires_grad_()]
    values = pennylane(*given)
    expected = [values, *torch.autograd.grad(values, given, cotangent)]
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference, rtol=0, atol=1e-10)


COMPILED = partial(torch.compile, backend="eager")


@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
def test_the_compiler_breaks_its_graph_around_the_kernels():
    torch._dynamo.reset()
    angles, weights = leaves()

    def loss(angles, weights):
        return (choose("cpu").probabilities(ANSATZ, 2 * angles, weights)[:, 1] ** 2).sum()

    results = []
    for function in (loss, COMPILED(loss)):
        value = function(angles, weights)
        results.append([value, *torch.autograd.grad(value, (angles, weights))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
