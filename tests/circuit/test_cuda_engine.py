"""The CUDA engine without a GPU: its kernels on the processor, against torch in double precision."""

from __future__ import annotations

from math import pi

import cuda_emulation
import pytest
import torch

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cuda import call, engine
from quinr_pl.circuit.engines.cuda.engine import CudaEngine
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.errors import QuinrError

pytestmark = cuda_emulation.NEEDS_COMPILER
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
LANES = [(n, lanes) for n in range(1, 9) for lanes in range(max(0, n - 5), min(n, 6))]
"""Up to 32 amplitudes a lane; two at least."""
QUICK = {(1, 0, torch.float64), (3, 1, torch.float64), (4, 0, torch.float32), (6, 2, torch.float32)}


def built(qubits, lanes, dtype):
    quick = (qubits, lanes, dtype) in QUICK
    name = f"{qubits}q-{1 << lanes}-{str(dtype)[6:]}"
    return pytest.param(qubits, lanes, dtype, marks=() if quick else pytest.mark.slow, id=name)


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    cuda_emulation.emulate(monkeypatch)


@pytest.fixture
def lanes(monkeypatch):
    def choose_lanes(count):
        monkeypatch.setattr(engine, "lane_qubits", lambda *_: count)

    return choose_lanes


def drawn(ansatz, batch, states=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    count = ansatz.states if states is None else len(states)
    shapes = ((batch, ansatz.features_count), ansatz.weights_shape, (batch, count))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def results(chosen, ansatz, angles, weights, cotangent, states=None):
    leaves = [angles.clone().requires_grad_(), weights.clone().requires_grad_()]
    probabilities = chosen.probabilities(ansatz, *leaves, states)
    return [probabilities.detach(), *torch.autograd.grad(probabilities, leaves, cotangent)]


def assert_right(ansatz, given, dtype, states=None, tolerance=None):
    rounded = [tensor.to(dtype) for tensor in given]
    found = results(CudaEngine(), ansatz, *rounded, states)
    expected = results(TorchEngine(), ansatz, *(tensor.double() for tensor in rounded), states)
    for value, reference in zip(found, expected, strict=True):
        assert value.dtype == dtype
        scale = max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(
            value.double(), reference, rtol=0, atol=(tolerance or TOLERANCE[dtype]) * scale
        )


@pytest.mark.parametrize(
    ("qubits", "lane_qubits", "dtype"),
    [built(*lanes, dtype) for lanes in LANES for dtype in (torch.float32, torch.float64)],
)
def test_every_number_of_qubits_and_lanes(qubits, lane_qubits, dtype, lanes):
    lanes(lane_qubits)
    batch = {4: 19, 5: 11}.get(lane_qubits, 41)  # two blocks of four warps take it in two rounds
    for ansatz in (
        Ansatz(qubits, 3 * qubits, uploads=3, layers=2),
        Ansatz(qubits, 2 * qubits + 1, uploads=2, features="own", pairs="ring"),
        Ansatz(qubits, max(1, qubits - 1), uploads=2, layers=3, pairs="unordered"),
    ):
        assert_right(ansatz, drawn(ansatz, batch), dtype)


def test_lanes_are_those_of_the_batch():
    assert call.lane_qubits(4, 10**6, torch.float32) == 0
    assert call.lane_qubits(4, 1000, torch.float32) > 0
    assert call.lane_qubits(4, 10**6, torch.float64) > call.lane_qubits(4, 10**6, torch.float32)
    for qubits in range(1, 9):
        for dtype in (torch.float32, torch.float64):
            lanes = [call.lane_qubits(qubits, batch, dtype) for batch in (1, 100, 4096, 10**6)]
            assert lanes == sorted(lanes, reverse=True)
            assert lanes[0] < min(qubits, 6)  # at least two amplitudes a lane, at most a warp a coordinate


@pytest.mark.parametrize("states", [(7,), (6, 1), (2, 2, 5), range(5, 8)])
def test_chosen_states_only(states, lanes):
    lanes(1)
    ansatz = Ansatz(3, 5, uploads=2)
    assert_right(ansatz, drawn(ansatz, 40, states), torch.float64, list(states))


@pytest.mark.parametrize("batch", [1, 31, 32, 33, 300])
def test_result_of_a_coordinate_does_not_depend_on_its_batch(batch, lanes):
    lanes(1)
    ansatz = Ansatz(3, 7, uploads=2)
    angles, weights, cotangent = drawn(ansatz, 300)
    whole = results(CudaEngine(), ansatz, angles, weights, cotangent)
    found = results(CudaEngine(), ansatz, angles[:batch], weights, cotangent[:batch])
    assert torch.equal(found[0], whole[0][:batch])
    assert torch.equal(found[1], whole[1][:batch])


def test_nothing_to_compute_is_fine():
    ansatz = Ansatz(3, 7, uploads=2)
    angles, weights, _ = drawn(ansatz, 4)
    assert CudaEngine().probabilities(ansatz, angles, weights, []).shape == (4, 0)
    weights.requires_grad_()
    empty = CudaEngine().probabilities(ansatz, angles[:0], weights)
    assert empty.shape == (0, 8)
    empty.sum().backward()
    assert not weights.grad.any()


def test_inputs_in_any_memory_layout(lanes):
    lanes(1)
    ansatz = Ansatz(3, 4, uploads=2)
    angles, weights, cotangent = drawn(ansatz, 5)
    expected = results(TorchEngine(), ansatz, angles, weights, cotangent)
    found = results(CudaEngine(), ansatz, angles.t().contiguous().t(), weights.flip(0).flip(0), cotangent)
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference)
    leaves = [angles.requires_grad_(), weights.requires_grad_()]
    CudaEngine().probabilities(ansatz, *leaves)[
        :, 0
    ].sum().backward()  # a cotangent without memory of its own
    assert angles.grad.any()


@DTYPES
@pytest.mark.parametrize("turn", [0.0, pi / 2, pi, 2 * pi, 1e-5, 1e-20, 100.0])
def test_special_angles(turn, dtype, lanes):
    """Matrices that are diagonal, antidiagonal or nearly so have no phases of their own."""
    lanes(1)
    ansatz = Ansatz(3, 7, uploads=2, layers=2)
    angles, weights, cotangent = drawn(ansatz, 4)
    special = torch.full_like(angles, turn)
    special[1] *= -1
    special[2, ::2] = 0
    special[3, 1::2] = 0
    tolerance = 3e-5 if dtype == torch.float32 else 1e-12
    for shared in (torch.full_like(weights, turn), weights):
        assert_right(ansatz, [special, shared, cotangent], dtype, tolerance=tolerance)


@DTYPES
@pytest.mark.parametrize("size", [100.0, 9e3, 1e5, 1e8, 1e12, 3e37])
def test_large_angles_are_reduced(size, dtype, lanes):
    lanes(1)
    ansatz = Ansatz(3, 7, uploads=2, layers=2)
    angles, weights, cotangent = drawn(ansatz, 20)
    angles[:, ::3] *= size
    weights[..., ::2] *= size
    tolerance = 3e-5 if dtype == torch.float32 else 1e-11
    assert_right(ansatz, [angles, weights, cotangent], dtype, tolerance=tolerance)


@DTYPES
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_angles_that_are_no_numbers_give_none(bad, dtype, lanes):
    lanes(1)
    ansatz = Ansatz(3, 7, uploads=2)
    angles, weights, _ = (tensor.to(dtype) for tensor in drawn(ansatz, 40))
    clean = CudaEngine().probabilities(ansatz, angles, weights)
    spoilt = angles.clone()
    spoilt[5, 3] = bad
    found = CudaEngine().probabilities(ansatz, spoilt, weights)
    assert found[5].isnan().all()
    others = [row for row in range(40) if row != 5]
    assert torch.equal(found[others], clean[others])
    for position in range(weights.shape[-1]):
        spoilt = weights.clone()
        spoilt[1, 0, position] = bad
        assert CudaEngine().probabilities(ansatz, angles, spoilt).isnan().any()


def test_derivatives_of_derivatives(lanes):
    lanes(1)
    ansatz = Ansatz(3, 4)
    angles, weights, _ = drawn(ansatz, 2)
    leaves = (angles.requires_grad_(), weights.requires_grad_())
    assert torch.autograd.gradgradcheck(
        lambda a, w: CudaEngine().probabilities(ansatz, a, w, [3, 1]), leaves, fast_mode=True
    )


@pytest.mark.parametrize(
    "ansatz", [Ansatz(9, 9), Ansatz(3, 30, uploads=100, features="own")], ids=["qubits", "depth"]
)
def test_what_does_not_fit_goes_to_another_engine(ansatz, monkeypatch):
    monkeypatch.setattr(engine, "Call", lambda *_: 1 / 0)
    monkeypatch.setattr(engine, "_other", lambda device: TorchEngine())
    angles, weights, _ = drawn(ansatz, 1)
    with torch.no_grad():
        found = CudaEngine().probabilities(ansatz, angles, weights)
    torch.testing.assert_close(found.sum(1), torch.ones(1, dtype=torch.float64))


def test_it_is_for_cuda_and_comes_before_triton(monkeypatch):
    with pytest.raises(
        QuinrError, match="engine cuda on a cpu device: its kernels are for CUDA; choose auto"
    ):
        choose("cuda", "cpu")
    monkeypatch.setattr(engine, "failure", lambda device: "")
    assert choose("auto", "cuda").name == "cuda"


def test_kernels_that_compute_wrongly_are_noticed(monkeypatch):
    device = torch.device("cpu")
    find = engine.failure.__wrapped__
    assert find(device) == ""
    monkeypatch.setattr(engine._Circuit, "__call__", lambda _, a, w: (a.sum() + w.sum()).expand(5, 4))
    assert "differ" in find(device)
    monkeypatch.setattr(engine._Circuit, "__call__", lambda *_: 1 / 0)
    assert find(device) == "division by zero"
