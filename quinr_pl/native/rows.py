"""Kernels on the rows of planes, dealt out to threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import ModuleType

from quinr_pl.native.machine_code import load
from quinr_pl.native.memory import AnyArray, address, scratch, summed, zeros
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.threads import chunks_of, in_parallel

Words = Mapping[str, int]


@dataclass(frozen=True)
class RowKernels:
    """Kernels that take ``first_row``, ``last_row``, ``sums`` and ``totals``, and how rows are dealt out.

    Sums are taken chunk by chunk: results do not depend on the number of threads.

    Attributes:
        emitter: The module that emits them, with ``Kernel``, their arguments.
        title: What they are, for the line that says that they are compiled.
        thread_numbers: Numbers of a plane whose work takes about 1 ms. Waking a thread takes 0.1 to 0.4 ms.
        least_rows: A chunk has as many rows, or more, but for the last one of a plane.
        most_chunks: A plane has as many chunks, or fewer; None for no such bound.
    """

    emitter: ModuleType
    title: str
    thread_numbers: int
    least_rows: int
    most_chunks: int | None = None

    def chunks(self, rows: int) -> list[tuple[int, int]]:
        """First row of each chunk of a plane, and the row past its last."""
        return chunks_of(rows, self.least_rows, self.most_chunks or rows)

    def run(
        self,
        name: str,
        like: AnyArray,
        shared: Words,
        *,
        size: tuple[int, int],
        sums: int,
        memory: Words | None = None,
        planes: Sequence[Words] = ({},),
        of_chunks: Sequence[Words] = (),
        settings: Sequence[object] = (),
    ) -> AnyArray:
        """Run a kernel on all rows of all planes.

        Args:
            name: Name of the kernel.
            like: Has the type and the dtype of the sums.
            shared: Words that are the same everywhere.
            size: Rows of a plane, numbers of a row.
            sums: How many sums the kernel writes to ``totals``.
            memory: Bytes of a thread's own memory for each argument that lies there, uninitialized;
                ``sums`` has its vectors without being named.
            planes: Words of each plane.
            of_chunks: Words of each chunk, if it has any of its own.
            settings: What the kernels are built for, besides the precision.

        Returns:
            The sums over everything, (sums,).
        """
        rows, row = size
        kernel = load(self.emitter, self.title, *settings, Precision.of(like))[name]
        chunks = [{"first_row": first, "last_row": last} for first, last in self.chunks(rows)]
        if of_chunks:
            chunks = [{**chunk, **own} for chunk, own in zip(chunks, of_chunks, strict=True)]
        pieces = [{**plane, **chunk} for plane in planes for chunk in chunks]
        totals = zeros(like, len(pieces), sums)
        starts, own_bytes = _places({"sums": sums * VECTOR_BYTES, **(memory or {})})

        def work(items: Iterable[int]) -> None:
            kept = scratch(own_bytes)
            own = {name: address(kept) + start for name, start in starts.items()}
            for item in items:
                addresses = {**own, "totals": address(totals[item])}
                words = self.emitter.Kernel.words(**shared, **addresses, **pieces[item])
                kernel(words.ctypes.data)

        in_parallel(work, len(pieces), 1 + len(planes) * rows * row // self.thread_numbers)
        return summed(totals)


def _places(sizes: Words) -> tuple[Words, int]:
    """Where parts of a memory begin in it, each at a whole vector, and how large it is, in bytes."""
    *starts, total = accumulate(
        (VECTOR_BYTES * -(-size // VECTOR_BYTES) for size in sizes.values()), initial=0
    )
    return dict(zip(sizes, starts, strict=True)), total
