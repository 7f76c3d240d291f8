"""The kernels of the CPU engine as LLVM code, for one number of qubits.

They work through blocks of as many coordinates as a vector has lanes, so that an amplitude of a block is two
vectors and a gate is a handful of multiply-adds on them. The backward pass is adjoint differentiation: it
un-computes the state layer by layer, which takes no memory that grows with depth.
"""

from __future__ import annotations

from llvmlite import ir

from quinr_pl.circuit.engines.cpu import rotations
from quinr_pl.circuit.engines.cpu import state as states
from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Array, Value

NAMES = ("prepare", "forward", "backward")


def build(qubits: int, precision: Precision) -> ir.Module:
    """The kernels: ``prepare`` once for each thread, then ``forward`` or ``backward`` on blocks."""
    module = ir.Module("quinr")
    for name, emit in zip(NAMES, (_prepare, _forward, _backward), strict=True):
        kernel = Kernel(module, name, qubits, precision)
        emit(kernel)
        kernel.code.builder.ret_void()
    return module


def _prepare(k: Kernel) -> None:
    rotations.prepare(k)
    states.prepare_diagonals(k)


def _state(k: Kernel, block: Value) -> Array:
    return k.code.at(k.state, k.code.times(block, k.state_stride))


def _forward(k: Kernel) -> None:
    def one(block: Value) -> None:
        rotations.embed(k, block, slopes=False)
        state = _state(k, block)
        states.product_state(k, state)
        k.code.loop(1, k.layers, lambda layer: states.advance(k, layer, state))
        states.measure(k, block, state)

    k.code.loop(k.first_block, k.last_block, one)


def _backward(k: Kernel) -> None:
    code = k.code
    code.loop(0, k.sums, lambda at: code.store(code.zero, k.phase_sum, at))

    def one(block: Value) -> None:
        rotations.embed(k, block, slopes=True)
        code.loop(0, k.angles, lambda column: code.store(code.zero, k.column_sum, column))
        states.cotangents(k, block, _state(k, block))
        states.no_z_overlaps(k)

        def undo(step: Value) -> None:
            layer = code.minus(code.minus(k.layers, 1), step)
            states.retreat(k, layer, undo=True)
            rotations.gather(k, layer)
            states.z_overlaps(k)

        code.loop(0, code.minus(k.layers, 1), undo)
        states.retreat(k, 0, undo=False)
        rotations.gather(k, 0)
        rotations.unembed(k, block)

    code.loop(k.first_block, k.last_block, one)
    rotations.finish(k)
    states.finish_diagonals(k)
    code.loop(0, k.reduced, lambda at: code.store_sum(code.load(k.column_sum, at), k.totals, at))
