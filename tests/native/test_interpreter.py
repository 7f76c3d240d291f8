"""Kernels in NumPy do what they do as machine code."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu import call as cpu_call
from quinr_pl.circuit.engines.cpu import compile as cpu_compile
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.native import interpreter, machine_code
from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Integers, Numbers, Vectors, pick
from quinr_pl.native.code import Program
from quinr_pl.native.emitter import Op
from quinr_pl.native.mathematics import cos_sin, exp2, floor, log2, reciprocal_sqrt, tanh
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import (
    Index,
    ceil_div,
    deinterleave,
    fma,
    interleave,
    maximum,
    minimum,
    rint,
    where,
)
from quinr_pl.ops.context import context_bits
from quinr_pl.ops.filters import filtered
from quinr_pl.ops.kernels import filters
from quinr_pl.ops.laplace import LaplaceContext
from quinr_pl.ops.relaxation import relaxed
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.upsampling import interpolated

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
precisions = pytest.mark.parametrize(
    "precision", [Precision(name) for name in TOLERANCE], ids=lambda p: p.name
)


class Sample(Arguments):
    """Vectors ``x`` and ``y`` of ordinary numbers, ``odd`` of others, and room for what is made of them."""

    seven: Index
    count: Index
    words: Integers
    numbers: Numbers
    odd: Vectors
    x: Vectors
    y: Vectors
    result: Vectors
    strided: Numbers


RESULTS = 64
ODD = [0.0, -0.0, 0.5, 1.5, -2.5, 1e-30, 3e4, -3e4, np.inf, -np.inf, np.nan]


def build(precision):
    """A kernel that knows all operations, and one of the functions."""
    return Program(
        "sample",
        precision,
        {
            "operations": lambda code: operations(Sample(code)),
            "functions": lambda code: functions(Sample(code)),
        },
    )


def operations(k):
    code, x, y, odd = k.code, k.x[0], k.y[0], k.odd[0]
    sums = [x + y, x - y, x * y, x / y, -x, abs(x), 1.0 - x, 2.0 / x, 3.0 * y, 0.5 + y]
    more = [fma(x, y, x), minimum(odd, x), maximum(odd, x), rint(odd), *interleave(x, y), *deinterleave(x, y)]
    masks = [x < y, x > 0.5, odd.exceeds(x), code.lanes_below(k.count), (x.as_bits() & 4).is_not_zero()]
    bits = [
        (x.as_bits() ^ y.as_bits()) & -8,
        (rint(y).as_integers() + 7 - rint(x).as_integers()) << 3,
        (x.as_bits() >> 5) + y.as_bits(),
        x.as_bits() * y.as_bits(),
        code.lanes_from(k.seven) - code.integer(k.words[4]),
    ]
    indices = [
        k.seven + 5,
        9 - k.seven,
        k.seven * k.count,
        ceil_div(k.seven, 4),
        k.seven << 3,
        k.count >> 1,
        k.seven & 5,
        5 | k.seven,
        k.words[2],
    ]
    results = [*sums, *more, *(where(mask, x, y) for mask in masks), *(b.as_numbers() for b in bits)]
    results += [k.numbers.vector(index) for index in indices]
    for position, result in enumerate(results):
        k.result[position] = result
    total = code.variable(1.0)
    for index in code.range(0, k.count, total):
        total.value += pick(index < 2, k.numbers, k.numbers.at(3))[index]
    branches = len(results)
    k.result[branches] = total.value

    def write(place, value):
        return lambda: k.result.__setitem__(place, value)

    conditions = [k.seven <= 7, k.seven < 7, (k.seven - 7).is_zero(), k.count.is_not_zero(), (x < -1e9).any()]
    for place, condition in enumerate(conditions, branches + 1):
        code.choose(condition, write(place, x), write(place, y))
        code.when(condition, lambda place=place: k.numbers.set_sum(place, x))
    gathered = k.strided.gather(1, k.seven, k.seven + k.count, 3)
    k.result[RESULTS - 1] = gathered
    k.strided.scatter(gathered * 2.0, 2, k.seven, k.seven + k.count, 3)


def functions(k):
    for index, function in enumerate((exp2, tanh, floor, log2, reciprocal_sqrt)):
        k.result[index] = function(k.x[0] if index < 3 else abs(k.x[0]))
    for index, x in enumerate((k.x[0], k.y[0], k.odd[0])):
        k.result[5 + 2 * index], k.result[6 + 2 * index] = cos_sin(x)


def called(name, precision, size=10.0, compiled=False):
    """Memory after a call of a kernel of the sample, in NumPy unless it shall be compiled."""
    generator = np.random.default_rng(0)
    lanes = precision.lanes
    arrays = {
        "words": np.arange(5, dtype=np.int64) * 3,
        "numbers": generator.normal(size=200).astype(precision.dtype),
        "odd": np.resize(np.array(ODD, precision.dtype), lanes),
        "x": generator.normal(size=lanes).astype(precision.dtype),
        "y": size * generator.normal(size=lanes).astype(precision.dtype),
        "result": np.zeros((RESULTS, lanes), precision.dtype),
        "strided": generator.normal(size=200).astype(precision.dtype),
    }
    words = Sample.words(seven=7, count=5, **{name: array.ctypes.data for name, array in arrays.items()})
    if compiled:
        kernels = machine_code.load(sys.modules[__name__], "a sample", precision)
    else:
        kernels = interpreter.functions(build(precision), [*map(torch.from_numpy, arrays.values())])
    kernels[name](words.ctypes.data)
    return arrays


@precisions
def test_every_operation_is_that_of_machine_code(precision, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    operated = []
    operate = interpreter.Interpreter.operate

    def watched(self, op, *operands):
        operated.append(op)
        return operate(self, op, *operands)

    monkeypatch.setattr(interpreter.Interpreter, "operate", watched)
    found, tolerance = {}, TOLERANCE[precision.name]
    for name in ("operations", "functions"):
        found[name] = called(name, precision)
        for array, expected in called(name, precision, compiled=True).items():
            np.testing.assert_allclose(found[name][array], expected, tolerance, tolerance, err_msg=array)
    assert set(operated) == set(Op)
    assert np.count_nonzero(found["operations"]["result"].any(1)) > 40


@precisions
def test_functions_are_those_of_the_library(precision):
    """To a few units in the last place, by a way of rounding that no machine has."""
    found = called("functions", precision, size=2e3)
    x, y, odd = (found[name].astype(np.longdouble) for name in ("x", "y", "odd"))
    with np.errstate(invalid="ignore"):
        expected = [np.exp2(x), np.tanh(x), np.floor(x), np.log2(abs(x)), 1 / np.sqrt(abs(x))]
        expected += [function(value) for value in (x, y, odd) for function in (np.cos, np.sin)]
    tolerance = 8 * np.finfo(precision.dtype).eps
    np.testing.assert_allclose(found["result"][:11], np.array(expected), rtol=tolerance, atol=tolerance)


@pytest.fixture
def both_ways(monkeypatch):
    """Calls a function with kernels as machine code, then with kernels in NumPy."""

    def forget():
        for cache in (machine_code.load, cpu_compile.kernels, cpu_call.layout):
            cache.cache_clear()

    def results(function):
        forget()
        compiled = function()
        names = []

        def run(program, *_):
            names.append(program.name)
            return interpreter.functions(program)

        with monkeypatch.context() as patch:
            patch.setattr(machine_code, "_run_natively", run)
            forget()
            interpreted = function()
        forget()
        assert names
        return interpreted, compiled

    return results


def draw(seed, *shape, precision):
    numbers = np.random.default_rng(seed).normal(size=shape).astype(precision.dtype)
    return torch.from_numpy(numbers)


def derived(function, leaves):
    """Values, and the gradients of a linear function of them."""
    values = function(*leaves)
    weights = torch.linspace(-1, 1, values.numel(), dtype=values.dtype).view_as(values)
    return [values.detach(), *torch.autograd.grad((values * weights).sum(), leaves)]


def assert_same(found, expected, precision):
    for value, reference in zip(found, expected, strict=True):
        scale = max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(value, reference, rtol=0, atol=TOLERANCE[precision.name] * scale)


@precisions
@pytest.mark.parametrize("second", [[], [(3, 3), (3,)]], ids=["one layer", "two layers"])
def test_the_context_model(precision, second, both_ways):
    context = LaplaceContext(((0, -1), (-1, 1), (-2, -2)), (-5.0, 6.0), 2.0**-20)
    grids = [(5, precision.lanes + 3), (3, precision.lanes // 2 + 2)]
    shapes = [(3, 4), (3,), *second, (2, 3), (2,), (2,), *grids]
    leaves = [draw(i, *shape, precision=precision).requires_grad_() for i, shape in enumerate(shapes)]
    found, compiled = both_ways(lambda: derived(lambda *given: context_bits(*given, context=context), leaves))
    assert_same(found, compiled, precision)


@precisions
def test_filters(precision, both_ways):
    shapes = [(2, 3, precision.lanes + 1), (2, 2, 3, 3), (2,)]
    leaves = [draw(i, *shape, precision=precision).requires_grad_() for i, shape in enumerate(shapes)]
    found, compiled = both_ways(lambda: derived(lambda values, *given: filtered(values, given), leaves))
    assert_same(found, compiled, precision)


@precisions
def test_interpolation(precision, both_ways):
    sizes = [(3, precision.lanes // 2 + 1), (5, precision.lanes + 2)]
    leaves = [
        draw(i, *shape, precision=precision).requires_grad_() for i, shape in enumerate([(1, 4), *sizes])
    ]
    found, compiled = both_ways(
        lambda: derived(lambda weight, *grids: interpolated(weight, grids, sizes), leaves)
    )
    assert_same(found, compiled, precision)


@precisions
def test_relaxation(precision, both_ways):
    leaves = [3 * draw(i, *shape, precision=precision) for i, shape in enumerate([(3, 23), (5,)])]
    for leaf in leaves:
        leaf.requires_grad_()
    key = torch.tensor([0x9E3779B9, 0xFFFFFFFF])
    settings = torch.tensor([[0.3, 0.2], [0.2, 0.1]], dtype=leaves[0].dtype)
    found, compiled = both_ways(
        lambda: derived(
            lambda *grids: torch.cat([part.flatten() for part in relaxed(grids, key, settings)[0]]), leaves
        )
    )
    assert_same(found, compiled, precision)


@pytest.mark.parametrize(
    ("qubits", "name", "linear"),
    [(1, "float64", True), (3, "float64", False), (3, "float32", True), (4, "float32", False)],
)
def test_the_circuit(qubits, name, linear, both_ways):
    """Qubits in one group and in two, in loops and in straight code; and a large phase."""
    precision = Precision(name)
    ansatz = Ansatz(qubits=qubits, angles=qubits + 2, uploads=2, layers=2)
    count, states = ansatz.features_count, ansatz.states
    batch = precision.lanes + 1
    shapes = [(batch, 2), (count, 2), (count,), ansatz.weights_shape] + [(3, states)] * linear
    leaves = [draw(i, *shape, precision=precision).requires_grad_() for i, shape in enumerate(shapes)]
    leaves[3].data[0, 0, 2 * qubits] = 100.0  # of the first CRZ
    found, compiled = both_ways(
        lambda: derived(lambda *given: choose("cpu").sine_layer(ansatz, *given, omega0=2.0), leaves)
    )
    assert_same(found, compiled, precision)


@precisions
def test_squared_errors(precision, both_ways):
    values, picture, known = (draw(i, 3, 23, precision=precision) for i in range(3))
    leaves = [values.requires_grad_()]
    found, compiled = both_ways(lambda: derived(partial(squared_error, picture=picture, known=known), leaves))
    assert_same(found, compiled, precision)


@precisions
def test_the_circuit_of_columns(precision, both_ways):
    """Coordinates side by side, the last vector of them not full, and what goes past the circuit."""
    ansatz = Ansatz(qubits=2, angles=3, uploads=2)
    count, batch = ansatz.features_count, precision.lanes + 3
    shapes = [(2, batch), (count, 2), (count,), ansatz.weights_shape, (3, ansatz.states), (3, 2), (3,)]
    leaves = [draw(i, *shape, precision=precision).requires_grad_() for i, shape in enumerate(shapes)]
    layer = choose("cpu").residual_layer
    found, compiled = both_ways(lambda: derived(lambda x, *rest: layer(ansatz, x.T, *rest).T, leaves))
    assert_same(found, compiled, precision)


def test_a_kernel_that_leaves_its_memory_is_caught():
    """Frames of filters are as large as the kernel says that it needs; one row less is noticed."""
    precision = Precision("float64")
    kernel = filters.Kernel
    row, rows, columns = precision.lanes + 4, 3, precision.lanes - 1
    weight, bias = draw(0, 1, 1, 3, 3, precision=precision), draw(1, 1, precision=precision)
    signal = draw(2, 1, 1, rows, columns, precision=precision)
    values = torch.zeros(rows + 2, row, dtype=torch.float64)
    values[:, : columns + 2] = nn.functional.pad(signal, (1, 1, 1, 1), mode="replicate")[0, 0]
    result = torch.zeros(rows, row, dtype=torch.float64)
    sizes = {"last_row": rows, "columns": columns, "rows": rows, "channels": 1, "row": row, "plane": 0}
    sizes["result_row"] = row
    tensors = {"weight": weight, "bias": bias, "result": result, "values": values}
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    addresses["values"] += (row + 1) * values.element_size()
    words = kernel.words(**sizes, **addresses)
    interpreter.functions(filters.build(precision), list(tensors.values()))["forward"](words.ctypes.data)
    expected = signal + nn.functional.conv2d(
        nn.functional.pad(signal, (1, 1, 1, 1), mode="replicate"), weight, bias
    )
    torch.testing.assert_close(result[:, :columns], expected[0, 0])
    tensors["values"] = values[:-1]
    with pytest.raises(IndexError, match="not its own"):
        interpreter.functions(filters.build(precision), list(tensors.values()))["forward"](words.ctypes.data)
