"""A kernel on the rows of an image, dealt out to threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from torch import Tensor

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.machine_code import Function
from quinr_pl.native.memory import scratch
from quinr_pl.native.precision import VECTOR_BYTES
from quinr_pl.native.threads import in_parallel

Words = Mapping[str, int]


def over_rows(
    kernel: Function,
    arguments: type[Arguments],
    shared: Words,
    like: Tensor,
    *,
    rows: int,
    chunk_rows: int,
    sums: int,
    memory: Words,
    most_threads: int,
    planes: Sequence[Words] = ({},),
    chunks: Sequence[Words] | None = None,
) -> Tensor:
    """Run a kernel that takes ``first_row``, ``last_row`` and ``totals`` on all rows of all planes.

    Rows are dealt out in chunks whose bounds depend on their number only, and sums are taken chunk by chunk:
    results do not depend on the number of threads.

    Args:
        kernel: The kernel.
        arguments: Its arguments.
        shared: Words that are the same everywhere.
        like: Has the dtype of the sums.
        rows: Rows of a plane.
        chunk_rows: Rows of a chunk.
        sums: How many sums the kernel writes to ``totals``.
        memory: Bytes of a thread's own memory for each argument that lies there, uninitialized.
        most_threads: More are not woken.
        planes: Words of each plane.
        chunks: Words of each chunk, if it has any of its own.

    Returns:
        The sums over everything, (sums,).
    """
    count = -(-rows // chunk_rows)
    totals = like.new_zeros(len(planes) * count, sums)
    sizes = [VECTOR_BYTES * -(-size // VECTOR_BYTES) for size in memory.values()]
    starts = dict(zip(memory, accumulate(sizes, initial=0), strict=False))

    def work(items: Iterable[int]) -> None:
        kept = scratch(sum(sizes))
        own = {name: kept.data_ptr() + start for name, start in starts.items()}
        for item in items:
            plane, chunk = divmod(item, count)
            words = arguments.words(
                **shared,
                **own,
                **planes[plane],
                **(chunks[chunk] if chunks else {}),
                first_row=chunk * chunk_rows,
                last_row=min((chunk + 1) * chunk_rows, rows),
                totals=totals[item].data_ptr(),
            )
            kernel(words.ctypes.data)

    in_parallel(work, len(totals), most_threads)
    return totals.double().sum(0).to(like.dtype)
