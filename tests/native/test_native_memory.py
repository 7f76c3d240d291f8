from __future__ import annotations

import platform
import sys

import pytest
import torch
from processes import completed

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.native import memory


class Borrower:
    pass


def test_memory_is_handed_on_once_its_borrower_is_gone():
    memory._spare.clear()
    for size in (1000, 5 << 20):  # ordinary and huge pages
        first, second = Borrower(), Borrower()
        addresses = {memory.address(memory.lent(size, borrower)) for borrower in (first, second)}
        assert len(addresses) == 2
        del first
        again, other = Borrower(), Borrower()
        assert memory.address(memory.lent(size, again)) in addresses
        assert memory.address(memory.lent(size, other)) not in addresses


def test_what_is_kept_is_bounded(monkeypatch):
    memory._spare.clear()
    monkeypatch.setattr(memory, "_KEPT_BYTES", 3000)
    borrowers = [Borrower() for _ in range(5)]
    for borrower in borrowers:
        memory.lent(1000, borrower)
    del borrower
    borrowers.clear()
    kept = sum(size * len(memories) for size, memories in memory._spare.items())
    assert 0 < kept <= 3000


def test_steps_between_do_not_touch_a_state_that_waits():
    """Two graphs at once, one of them walked twice, agree with each on its own."""
    ansatz, engine = Ansatz(qubits=3, angles=5, uploads=2), choose("cpu")
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(70, 5, generator=generator).requires_grad_() for _ in range(2)]
    weights = torch.randn(ansatz.weights_shape, generator=generator)

    def value(x):
        return engine.probabilities(ansatz, x, weights)[:, 0].sum()

    alone = [torch.autograd.grad(value(x), x)[0] for x in inputs]
    first, second = (value(x) for x in inputs)
    once = torch.autograd.grad(first, inputs[0], retain_graph=True)[0]
    other = torch.autograd.grad(second, inputs[1])[0]
    value(inputs[1])
    twice = torch.autograd.grad(first, inputs[0])[0]
    assert torch.equal(once, alone[0])
    assert torch.equal(other, alone[1])
    assert torch.equal(twice, alone[0])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_kept():
    """Steps that free all they allocated, many tens of megabytes at once: only the first ones get pages."""
    program = """if True:
        import resource, torch
        from quinr_pl.native.memory import keep_freed_memory
        keep_freed_memory()
        for step in range(8):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            parts = [torch.ones(2_000_000) for _ in range(12)]
            del parts
            print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    done = completed([sys.executable, "-c", program])
    first, *others = map(int, done.stdout.split())
    assert min(others[-4:]) < first / 10
