"""Our machine code on processors unlike this one."""

from __future__ import annotations

import platform

import pytest
import torch
from llvmlite import binding as llvm

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu import call as cpu_call
from quinr_pl.circuit.engines.cpu import compile as cpu_compile
from quinr_pl.circuit.engines.cpu import kernels as cpu_kernels
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.native import machine_code
from quinr_pl.native.precision import Precision
from quinr_pl.ops.kernels import filters as filter_kernels
from quinr_pl.ops.kernels import relaxation as relaxation_kernels
from quinr_pl.ops.kernels import upsampling as upsampling_kernels

FLOAT32 = Precision("float32")


@pytest.fixture
def processor(request, monkeypatch, tmp_path):
    """Kernels are compiled for a processor that this one can stand in for, and kept elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: request.param)
    monkeypatch.setattr(machine_code, "_features", lambda: "")
    caches = (machine_code.load, cpu_compile.kernels, cpu_call.layout)
    for cache in caches:
        cache.cache_clear()
    yield request.param
    for cache in caches:
        cache.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names of x86 processors")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"], indirect=True)  # SSE2 alone; AVX2 and FMA
def test_the_circuit_agrees_with_lightning(processor, capsys):
    ansatz = Ansatz(qubits=3, angles=5, uploads=2, layers=2)
    generator = torch.Generator().manual_seed(0)
    angles = torch.randn(20, ansatz.features_count, generator=generator)
    weights = torch.randn(ansatz.weights_shape, generator=generator)
    cotangent = torch.randn(20, ansatz.states, generator=generator)
    found = {}
    for name in ("cpu", "lightning"):
        leaves = [values.clone().requires_grad_() for values in (angles, weights)]
        probabilities = choose(name, angles.device).probabilities(ansatz, *leaves)
        (probabilities * cotangent).sum().backward()
        found[name] = [probabilities.detach(), *(leaf.grad for leaf in leaves)]
    assert "compiling the CPU engine" in capsys.readouterr().err
    for value, expected in zip(found["cpu"], found["lightning"], strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("triple", "processor"),
    [("aarch64-unknown-linux-gnu", "generic"), ("arm64-apple-macosx14", "apple-m1")],
)
def test_kernels_compile_for_arm(triple, processor):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, opt=3, jit=True)
    emitted = [module.build(FLOAT32) for module in (upsampling_kernels, filter_kernels, relaxation_kernels)]
    for module in (cpu_kernels.build(2, True, FLOAT32), *emitted):
        code = machine_code._compile(module, machine)
        assert code[:4] in {b"\x7fELF", b"\xcf\xfa\xed\xfe"}
