"""The kernels of the CPU engine as LLVM code, for one number of qubits.

They work through blocks of as many coordinates as a vector has lanes, so that an amplitude of a block is two
vectors and a gate is a handful of multiply-adds on them. The backward pass is adjoint differentiation: it
un-computes the state layer by layer, which takes no memory that grows with depth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from quinr_pl.circuit.engines.cpu import rotations
from quinr_pl.circuit.engines.cpu import state as states
from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.native.arrays import Complexes
from quinr_pl.native.code import Code, Program
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import AnyIndex


def build(qubits: int, consecutive: bool, precision: Precision, prepared: bool = False) -> Program:
    """The kernels: ``prepare`` once for each thread, then ``forward`` or ``backward`` on blocks.

    Args:
        qubits: Number of qubits.
        consecutive: Whether coordinates lie side by side in memory; see ``Kernel``.
        precision: The number format.
        prepared: Whether the circuit begins in amplitudes that are given; see ``Kernel``.
    """

    def emitting(body: Callable[[Kernel], None]) -> Callable[[Code], None]:
        return lambda code: body(Kernel(code, qubits, consecutive, prepared))

    passes = {"prepare": _prepare, "forward": _forward, "backward": _backward}
    return Program("quinr", precision, {name: emitting(body) for name, body in passes.items()})


def _prepare(k: Kernel) -> None:
    rotations.prepare(k)
    states.prepare_diagonals(k)


def _state(k: Kernel, block: AnyIndex) -> Complexes:
    return k.state.at(block * k.state_stride).complexes()


def _forward(k: Kernel) -> None:
    for block in k.code.range(k.first_block, k.last_block):
        state = _state(k, block)
        if k.prepared:
            states.given_state(k, block, state)
        else:
            rotations.embed(k, block, slopes=False)
            states.product_state(k, state)
        for layer in k.code.range(1, k.layers):
            states.advance(k, layer, state)
        states.measure(k, block, state)


def _backward(k: Kernel) -> None:
    code = k.code
    for at in code.range(0, k.sums):
        k.phase_sum[at] = 0.0
    for block in code.range(k.first_block, k.last_block):
        if not k.prepared:
            rotations.embed(k, block, slopes=True)
        for column in code.range(0, k.angles):
            k.column_sum[column] = 0.0
        states.cotangents(k, block, _state(k, block))
        states.no_z_overlaps(k)
        for step in code.range(0, k.layers - 1):
            layer = k.layers - 1 - step
            states.retreat(k, layer, undo=True)
            rotations.gather(k, layer)
            states.z_overlaps(k)
        if k.prepared:
            code.when(k.input_gradient.is_not_zero(), partial(states.given_gradient, k, block))
        else:
            states.retreat(k, 0, undo=False)
            rotations.gather(k, 0)
            rotations.unembed(k, block)
    rotations.finish(k)
    states.finish_diagonals(k)
    for at in code.range(0, k.reduced):
        k.totals.set_sum(at, k.column_sum[at])
