"""Embedding, circuit, read-out and skip in one pass, against the same in several."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from agreement import TOLERANCE, assert_agree, inputs

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.errors import QuinrError


@pytest.mark.parametrize("linear", [True, False], ids=["readout", "probabilities"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_fused_layer_is_embedding_circuit_and_readout(dtype, linear):
    ansatz = Ansatz(qubits=4, angles=10, uploads=2, features="own")
    generator = torch.Generator().manual_seed(0)

    def tensor(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    leaves = [tensor(37, 3), tensor(20, 3), tensor(20), tensor(*ansatz.weights_shape), tensor(5, 16)]
    cotangent = tensor(37, 5 if linear else 16)

    def apart(x, weight, bias, weights, readout):
        angles = 0.7 * torch.sin(4.0 * (x @ weight.t() + bias))
        probabilities = choose("torch").probabilities(ansatz, angles, weights)
        return probabilities @ readout.t() if linear else probabilities

    def fused(x, weight, bias, weights, readout):
        given = (x, weight, bias, weights, readout if linear else None)
        return choose("cpu").sine_layer(ansatz, *given, omega0=4.0, angle_scale=0.7)

    def results(function, to):
        inputs = [leaf.detach().clone().to(to).requires_grad_() for leaf in leaves]
        result = function(*inputs)
        (result * cotangent.to(to)).sum().backward()
        return [result.detach(), *(leaf.grad for leaf in inputs[: 5 if linear else 4])]

    found, expected = results(fused, dtype), results(apart, torch.float64)
    assert_agree(found, expected, 2e-5 if dtype == torch.float32 else 1e-12)
    with torch.no_grad():
        torch.testing.assert_close(fused(*leaves), found[0], rtol=0, atol=0)


@pytest.mark.parametrize("batch", [1, 16, 37])
@pytest.mark.parametrize("layout", [torch.clone, lambda x: x.T.contiguous().T], ids=["rows", "columns"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)], ids=str)
def test_what_goes_past_the_circuit(batch, layout, dtype, tolerance):
    """In one pass and in torch: values and gradients, by coordinates in rows and in columns."""
    ansatz = Ansatz(qubits=3, angles=4, uploads=2, features="own")
    generator = torch.Generator().manual_seed(2)
    shapes = [(batch, 3), (8, 3), (8,), ansatz.weights_shape, (2, 8), (2, 3), (2,)]
    leaves = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    cotangent = torch.randn(batch, 2, generator=generator, dtype=torch.float64)

    def apart(x, weight, bias, weights, readout, skip, offset):
        angles = 0.7 * torch.sin(4.0 * (x @ weight.t() + bias))
        return choose("torch").probabilities(ansatz, angles, weights) @ readout.t() + x @ skip.t() + offset

    results = []
    fused = partial(choose("cpu").residual_layer, ansatz, omega0=4.0, angle_scale=0.7)
    for function, to in ((fused, dtype), (apart, torch.float64)):
        given = [leaf.to(to).requires_grad_() for leaf in leaves]
        values = function(layout(given[0]), *given[1:])
        results.append([values.detach(), *torch.autograd.grad(values, given, layout(cotangent.to(to)))])
    assert_agree(*results, tolerance)


def test_fused_layer_refuses_unfit_shapes():
    ansatz = Ansatz(qubits=2, angles=3)
    x, weight, bias, weights = torch.zeros(4, 2), torch.zeros(3, 2), torch.zeros(3), torch.zeros(1, 1, 10)
    engine = choose("cpu")
    with pytest.raises(QuinrError, match=r"embedding weight of shape \(3, 1\)"):
        engine.sine_layer(ansatz, x, weight[:, :1], bias, weights)
    with pytest.raises(QuinrError, match=r"embedding bias of shape \(2,\)"):
        engine.sine_layer(ansatz, x, weight, bias[:2], weights)
    for shape in ((3, 2), (0, 4)):
        with pytest.raises(QuinrError, match=r"readout of shape \(., .\): needs \(out, 4\)"):
            engine.sine_layer(ansatz, x, weight, bias, weights, torch.zeros(shape))
    with pytest.raises(QuinrError, match="needs one precision, on the cpu"):
        engine.sine_layer(ansatz, x, weight.double(), bias, weights)
    readout, skip, offset = torch.zeros(3, 4), torch.zeros(3, 2), torch.zeros(3)
    for wrong in ((skip[:2], offset), (skip[:, :1], offset), (skip, offset[:2])):
        with pytest.raises(QuinrError, match=r"skip of shape \(., .\) and offset"):
            engine.residual_layer(ansatz, x, weight, bias, weights, readout, *wrong)
    meta = (torch.zeros(4, 3, device="meta"), torch.zeros(1, 1, 10, device="meta"))
    with pytest.raises(QuinrError, match=r"torch\.float32 on meta"):
        engine.probabilities(ansatz, *meta)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_large_phases_of_the_fused_layer_are_reduced(dtype):
    """Coordinates and weights whose products are exact, so that both ways take the sine of one number."""
    ansatz = Ansatz(qubits=2, angles=3)
    x = torch.tensor([[1.0], [0.5], [-2.0]], dtype=dtype)
    weight = torch.tensor([[2.0**27], [3.0 * 2**14], [2.0**70]], dtype=dtype)
    weights = inputs(ansatz, 1)[1].detach().to(dtype)
    bias = torch.zeros(3, dtype=dtype)
    found = choose("cpu").sine_layer(ansatz, x, weight, bias, weights, omega0=1.0)
    angles = torch.sin(x.double() @ weight.double().t())
    expected = choose("lightning").probabilities(ansatz, angles, weights.double())
    assert_agree([found], [expected], TOLERANCE[dtype])
