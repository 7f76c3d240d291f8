"""What machine code on disk is found by."""

from __future__ import annotations

import sys

import pytest

from quinr_pl.circuit.engines.cpu import compile as cpu_compile
from quinr_pl.circuit.engines.cpu import kernels as cpu_kernels
from quinr_pl.native import llvm, machine_code
from quinr_pl.native.precision import Precision
from quinr_pl.ops.kernels import context, filters, laplace, relaxation, upsampling

FLOAT32 = Precision("float32")
EMITTING = {
    "circuit": (cpu_kernels, cpu_compile._SOURCES, (2, True, FLOAT32)),
    "context": (context, (laplace,), (((0, -1), (-1, 1)), (-5.0, 6.0), 2.0**-20, 3, FLOAT32)),
    "filters": (filters, (), (FLOAT32,)),
    "relaxation": (relaxation, (), (FLOAT32,)),
    "upsampling": (upsampling, (), (FLOAT32,)),
}


@pytest.mark.parametrize("name", EMITTING)
def test_the_key_holds_the_text_of_every_module_that_takes_part(name):
    """A change to one that is left out would have the old code run."""
    emitting, sources, settings = EMITTING[name]
    called = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: called.add(frame.f_globals.get("__name__")))
    try:
        llvm.emit(emitting.build(*settings))
    finally:
        sys.setprofile(before)
    ours = {module for module in called if module and module.startswith("quinr_pl.")}
    assert emitting.__name__ in ours
    assert ours <= {module.__name__ for module in (*machine_code._SOURCES, *sources, emitting)}
