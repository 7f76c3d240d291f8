"""Kernels as LLVM code; the only file of the package that knows LLVM's instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from llvmlite import ir

from quinr_pl.native.code import Code, Program
from quinr_pl.native.emitter import Element, Emitter, Op, Raw
from quinr_pl.native.precision import Precision

_INDEX = ir.IntType(64)
_INT32 = ir.IntType(32)
_POINTER = ir.PointerType()

_INSTRUCTIONS = {
    Op.INDEX_ADD: "add",
    Op.INDEX_SUBTRACT: "sub",
    Op.INDEX_MULTIPLY: "mul",
    Op.INDEX_DIVIDE: "udiv",
    Op.INDEX_SHIFT_LEFT: "shl",
    Op.INDEX_SHIFT_RIGHT: "lshr",
    Op.INDEX_AND: "and_",
    Op.INDEX_OR: "or_",
    Op.ADD: "fadd",
    Op.SUBTRACT: "fsub",
    Op.MULTIPLY: "fmul",
    Op.DIVIDE: "fdiv",
    Op.NEGATE: "fneg",
    Op.SELECT: "select",
    Op.BITS_ADD: "add",
    Op.BITS_SUBTRACT: "sub",
    Op.BITS_MULTIPLY: "mul",
    Op.BITS_AND: "and_",
    Op.BITS_XOR: "xor",
    Op.BITS_SHIFT_LEFT: "shl",
    Op.BITS_SHIFT_RIGHT: "ashr",
}
_COMPARISONS = {
    Op.INDEX_LESS: ("icmp_signed", "<"),
    Op.INDEX_LESS_EQUAL: ("icmp_signed", "<="),
    Op.INDEX_EQUAL: ("icmp_signed", "=="),
    Op.INDEX_DIFFER: ("icmp_signed", "!="),
    Op.LESS: ("fcmp_ordered", "<"),
    Op.EXCEED: ("fcmp_unordered", ">"),
    Op.BITS_DIFFER: ("icmp_signed", "!="),
}
_INTRINSICS = {
    Op.FMA: "llvm.fmuladd",
    Op.SQRT: "llvm.sqrt",
    Op.ABSOLUTE: "llvm.fabs",
    Op.MINIMUM: "llvm.minnum",
    Op.MAXIMUM: "llvm.maxnum",
    Op.ROUND: "llvm.rint",
}


def emit(program: Program) -> str:
    """The text of an LLVM module; each kernel takes the address of its 64-bit arguments."""
    module = ir.Module(program.name)
    for name, kernel in program.kernels.items():
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), name)
        emitter = LlvmEmitter(function, program.precision)
        kernel(Code(emitter))
        emitter.builder.ret_void()
        _emit_dealing(module, function)
    return str(module)


def dealing_name(kernel: str) -> str:
    """Name of the function that runs a kernel on every piece that its thread is dealt."""
    return f"{kernel}_dealt"


def _emit_dealing(module: ir.Module, kernel: ir.Function) -> None:
    """A function that does what quinr_pl.native.pieces.Function.take says.

    It takes the address of seven words: of the arguments of the first piece, the bytes from one piece to the
    next, the pieces, the address of the next one's number, how many arguments are the thread's own, and the
    addresses of their places and of their values.
    """
    kernel.attributes.add("noinline")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), dealing_name(kernel.name))
    builder = ir.IRBuilder(function.append_basic_block())

    def word(pointer: Raw, index: Raw) -> Raw:
        return builder.load(builder.gep(pointer, [index], source_etype=_INDEX), typ=_INDEX, align=8)

    def constant(value: int) -> Raw:
        return ir.Constant(_INDEX, value)

    words = [word(function.args[0], constant(index)) for index in range(7)]
    first, step, pieces, counter, count, places, values = words
    head, loop, after = (builder.append_basic_block() for _ in range(3))
    one, call = builder.append_basic_block(), builder.append_basic_block()
    builder.branch(head)
    builder.position_at_end(head)
    piece = builder.atomic_rmw("add", builder.inttoptr(counter, _POINTER), constant(1), "monotonic")
    arguments = builder.inttoptr(builder.add(first, builder.mul(piece, step)), _POINTER)
    builder.cbranch(builder.icmp_signed("<", piece, pieces), loop, after)
    builder.position_at_end(loop)
    own = builder.phi(_INDEX)
    own.add_incoming(constant(0), head)
    builder.cbranch(builder.icmp_signed("<", own, count), one, call)
    builder.position_at_end(one)
    place = word(builder.inttoptr(places, _POINTER), own)
    value = word(builder.inttoptr(values, _POINTER), own)
    builder.store(value, builder.gep(arguments, [place], source_etype=_INDEX), align=8)
    own.add_incoming(builder.add(own, constant(1)), one)
    builder.branch(loop)
    builder.position_at_end(call)
    builder.call(kernel, [arguments])
    builder.branch(head)
    builder.position_at_end(after)
    builder.ret_void()


class LlvmEmitter(Emitter):
    """Emits the instructions of one function.

    Args:
        function: An empty LLVM function.
        precision: The format of its numbers.
    """

    def __init__(self, function: ir.Function, precision: Precision) -> None:
        self.builder = ir.IRBuilder(function.append_basic_block())
        self.precision = precision
        self._function, self._module = function, function.module
        self._number = ir.FloatType() if precision.name == "float32" else ir.DoubleType()
        self._vector = ir.VectorType(self._number, precision.lanes)
        self._bits = ir.VectorType(ir.IntType(precision.bits), precision.lanes)
        self._indices = ir.VectorType(_INDEX, precision.lanes)
        self._elements = {Element.NUMBER: self._number, Element.VECTOR: self._vector, Element.WORD: _INDEX}
        self._align = precision.dtype.itemsize

    def argument(self, position: int) -> Raw:
        """One of the kernel's 64-bit arguments; see `Emitter`."""
        pointer = self.moved(self._function.args[0], self.index(position), Element.WORD)
        return self.load(pointer, Element.WORD)

    def index(self, value: int) -> Raw:
        """A constant index; see `Emitter`."""
        return ir.Constant(_INDEX, value)

    def vector(self, value: float) -> Raw:
        """A constant number in every lane; see `Emitter`."""
        return ir.Constant(self._vector, [float(self.precision.dtype.type(value))] * self.precision.lanes)

    def bits(self, value: int) -> Raw:
        """A constant integer in every lane; see `Emitter`."""
        return ir.Constant(self._bits, [value] * self.precision.lanes)

    def operate(self, op: Op, *operands: Raw) -> Raw:
        """The result of an operation; see `Emitter`."""
        builder = self.builder
        if op in _INSTRUCTIONS:
            return getattr(builder, _INSTRUCTIONS[op])(*operands)
        if op in _COMPARISONS:
            method, relation = _COMPARISONS[op]
            return getattr(builder, method)(relation, *operands)
        if op in _INTRINSICS:
            return self._intrinsic(_INTRINSICS[op], *operands)
        (operand,) = operands
        match op:
            case Op.REINTERPRET:
                return builder.bitcast(operand, self._bits)
            case Op.REINTERPRETED:
                return builder.bitcast(operand, self._vector)
            case Op.TRUNCATE:
                return builder.fptosi(operand, self._bits)
            case Op.CONVERT:
                return builder.sitofp(operand, self._vector)
            case Op.ANY:
                lanes = ir.IntType(self.precision.lanes)
                return builder.icmp_unsigned("!=", builder.bitcast(operand, lanes), ir.Constant(lanes, 0))
            case Op.LANES_BELOW:
                return builder.icmp_signed("<", self._lane_numbers(), self._spread(operand, self._indices))
            case Op.LANES_FROM:
                indices = builder.add(self._spread(operand, self._indices), self._lane_numbers())
                return indices if self._bits == self._indices else builder.trunc(indices, self._bits)
        raise NotImplementedError(op)

    def shuffle(self, a: Raw, b: Raw, order: Sequence[int]) -> Raw:
        """A vector of lanes of two vectors; see `Emitter`."""
        mask = ir.Constant(ir.VectorType(_INT32, len(order)), list(order))
        return self.builder.shuffle_vector(a, b, mask)

    def cos_sin_by_library(self, x: Raw) -> tuple[Raw, Raw]:
        """See Emitter; a function of its own, which calls the C library for each lane."""
        both = self.builder.call(self._far_cos_sin(), [x])
        return self.builder.extract_value(both, 0), self.builder.extract_value(both, 1)

    def _far_cos_sin(self) -> Raw:
        known = self._module.globals.get("far_cos_sin")
        if known:
            return known
        pair = ir.LiteralStructType([self._vector, self._vector])
        function = ir.Function(self._module, ir.FunctionType(pair, [self._vector]), "far_cos_sin")
        function.linkage = "internal"
        function.attributes.add("noinline")
        code = LlvmEmitter(function, self.precision)
        result: Raw = ir.Constant(pair, ir.Undefined)
        for part, name in enumerate(("llvm.cos", "llvm.sin")):
            result = code.builder.insert_value(result, code._intrinsic(name, function.args[0]), part)
        code.builder.ret(result)
        return function

    # Memory -------------------------------------------------------------------------------------------

    def pointer(self, word: Raw) -> Raw:
        """The pointer of an address; see `Emitter`."""
        return self.builder.inttoptr(word, _POINTER)

    def moved(self, pointer: Raw, count: Raw, element: Element) -> Raw:
        """A pointer so many elements on; see `Emitter`."""
        return self.builder.gep(pointer, [count], source_etype=self._elements[element])

    def pick(self, condition: Raw, a: Raw, b: Raw) -> Raw:
        """One of two pointers; see `Emitter`."""
        return self.builder.select(condition, a, b)

    def load(self, pointer: Raw, element: Element) -> Raw:
        """What a pointer points to; see `Emitter`."""
        align = 8 if element is Element.WORD else self._align
        value = self.builder.load(pointer, typ=self._elements[element], align=align)
        return self._spread(value, self._vector) if element is Element.NUMBER else value

    def store(self, value: Raw, pointer: Raw) -> None:
        """Write a vector; see `Emitter`."""
        self.builder.store(value, pointer, align=self._align)

    def store_sum(self, value: Raw, pointer: Raw) -> None:
        """Write the sum over a vector's lanes; see `Emitter`."""
        width = self.precision.lanes
        while width > 1:
            width //= 2
            low, high = range(width), range(width, 2 * width)
            value = self.builder.fadd(self.shuffle(value, value, low), self.shuffle(value, value, high))
        self.store(self.builder.extract_element(value, ir.Constant(_INT32, 0)), pointer)

    def gather(self, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> Raw:
        """Read a strided vector; see `Emitter`."""
        if _is_one(stride):
            place, mask = self._row(pointer, start, first, stop)
            kinds = [_POINTER, _INT32, mask.type, self._vector]
            function = self._declared("llvm.masked.load", self._vector, kinds, "p0", single=True)
            return self.builder.call(
                function, [place, ir.Constant(_INT32, self._align), mask, self.vector(0.0)]
            )
        addresses, mask = self._rows(pointer, start, first, stop, stride)
        kinds = [addresses.type, _INT32, mask.type, self._vector]
        function = self._declared("llvm.masked.gather", self._vector, kinds, "p0")
        return self.builder.call(
            function, [addresses, ir.Constant(_INT32, self._align), mask, self.vector(0.0)]
        )

    def scatter(self, value: Raw, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> None:
        """Write a strided vector; see `Emitter`."""
        if _is_one(stride):
            place, mask = self._row(pointer, start, first, stop)
            kinds = [self._vector, _POINTER, _INT32, mask.type]
            function = self._declared("llvm.masked.store", ir.VoidType(), kinds, "p0", single=True)
            self.builder.call(function, [value, place, ir.Constant(_INT32, self._align), mask])
            return
        addresses, mask = self._rows(pointer, start, first, stop, stride)
        kinds = [self._vector, addresses.type, _INT32, mask.type]
        function = self._declared("llvm.masked.scatter", ir.VoidType(), kinds, "p0")
        self.builder.call(function, [value, addresses, ir.Constant(_INT32, self._align), mask])

    def _row(self, pointer: Raw, start: Raw, first: Raw, stop: Raw) -> tuple[Raw, Raw]:
        """Where the first of rows that follow each other lies, and the mask of those before ``stop``."""
        place = self.moved(pointer, self.builder.add(start, first), Element.NUMBER)
        return place, self.operate(Op.LANES_BELOW, self.builder.sub(stop, first))

    def _rows(self, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> tuple[Raw, Raw]:
        """Address of each lane's row, and the mask of those before ``stop``."""
        builder = self.builder
        rows = builder.add(self._spread(first, self._indices), self._lane_numbers())
        mask = builder.icmp_signed("<", rows, self._spread(stop, self._indices))
        numbers = builder.add(
            builder.mul(rows, self._spread(stride, self._indices)), self._spread(start, self._indices)
        )
        size = ir.Constant(self._indices, [self._align] * self.precision.lanes)
        base = self._spread(builder.ptrtoint(pointer, _INDEX), self._indices)
        words = builder.add(base, builder.mul(numbers, size))
        return builder.inttoptr(words, ir.VectorType(_POINTER, self.precision.lanes)), mask

    def _lane_numbers(self) -> Raw:
        return ir.Constant(self._indices, list(range(self.precision.lanes)))

    def _spread(self, value: Raw, kind: ir.Type) -> Raw:
        vector = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(vector, value, ir.Constant(_INT32, 0))
        return self.shuffle(first, vector, [0] * self.precision.lanes)

    def _intrinsic(self, name: str, *arguments: Raw) -> Raw:
        return self.builder.call(
            self._declared(name, self._vector, [self._vector] * len(arguments)), arguments
        )

    def _declared(
        self,
        name: str,
        result: ir.Type,
        arguments: Sequence[ir.Type],
        pointers: str = "",
        single: bool = False,
    ) -> Raw:
        """An intrinsic, whose full name ends in the types of its vectors of numbers and of its pointers."""
        lanes = self.precision.lanes
        full = f"{name}.v{lanes}f{self.precision.bits}"
        if pointers:
            full += f".{pointers}" if single else f".v{lanes}{pointers}"
        known = self._module.globals.get(full)
        return known or ir.Function(self._module, ir.FunctionType(result, arguments), full)

    # Control ------------------------------------------------------------------------------------------

    def loop(self, start: Raw, stop: Raw, carried: list[Raw]) -> Iterator[Raw]:
        """Run a body for each index; see `Emitter`."""
        builder = self.builder
        before, head = builder.block, builder.append_basic_block()
        inner, after = builder.append_basic_block(), builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(_INDEX)
        index.add_incoming(start, before)
        phis = [self._merged((value, before)) for value in carried]
        builder.cbranch(builder.icmp_signed("<", index, stop), inner, after)
        builder.position_at_end(inner)
        carried[:] = phis
        yield index
        index.add_incoming(builder.add(index, self.index(1)), builder.block)
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        carried[:] = phis

    def branch(
        self, condition: Raw, then: Callable[[], object], otherwise: Callable[[], object] | None = None
    ) -> None:
        """Run one of two bodies; see `Emitter`."""
        if otherwise is None:
            with self.builder.if_then(condition):
                then()
            return
        with self.builder.if_else(condition) as (first, second):
            with first:
                then()
            with second:
                otherwise()

    def rarely(
        self, condition: Raw, usual: Sequence[Raw], body: Callable[[], Sequence[Raw]]
    ) -> Sequence[Raw]:
        """Run a body that is hardly ever needed; see `Emitter`."""
        before = self.builder.block
        with self.builder.if_then(condition, likely=False):
            values = body()
            inside = self.builder.block
        return [
            self._merged((value, before), (other, inside)) for value, other in zip(usual, values, strict=True)
        ]

    def _merged(self, *incoming: tuple[Raw, ir.Block]) -> Raw:
        phi = self.builder.phi(self._vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi


def _is_one(index: Raw) -> bool:
    return isinstance(index, ir.Constant) and index.constant == 1
