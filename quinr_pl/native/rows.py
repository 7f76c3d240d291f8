"""Kernels on the rows of planes, dealt out to threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import accumulate
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.native.machine_code import load
from quinr_pl.native.memory import AnyArray, address, like_of, scratch, summed
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.threads import Deal, chunks_of, in_parallel

Words = Mapping[str, int]


@dataclass(frozen=True)
class Plane:
    """A plane of rows.

    Attributes:
        rows: How many.
        words: Words of the plane.
        of_chunks: Words that differ from chunk to chunk, (chunks,) each.
    """

    rows: int
    words: Words
    of_chunks: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True)
class RowKernels:
    """Kernels that take ``first_row`` and ``last_row``, and how rows are dealt out.

    Those that have sums also take ``sums`` and ``totals``.

    Sums are taken chunk by chunk: results do not depend on the number of threads.

    Attributes:
        emitter: The module that emits them, with ``Kernel``, their arguments.
        title: What they are, for the line that says that they are compiled.
        thread_numbers: Numbers of a plane whose work takes about 1 ms. Waking a thread takes 0.1 to 0.4 ms.
        least_rows: A chunk has as many rows, or more, but for the last one of a plane.
        most_chunks: A plane has as many chunks, or fewer; None for no such bound.
        unit: Rows of a chunk are a multiple of it, but for the last one of a plane.
        sources: Modules beside the emitter that take part in emitting them.
    """

    emitter: ModuleType
    title: str
    thread_numbers: int
    least_rows: int
    most_chunks: int | None = None
    unit: int = 1
    sources: tuple[ModuleType, ...] = ()

    def chunks(self, rows: int) -> npt.NDArray[np.int64]:
        """First row of each chunk of a plane, and the row past its last: (chunks, 2)."""
        return _chunks(rows, self.unit, self.least_rows // self.unit, self.most_chunks)

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
            settings: What the kernels are built for, besides the precision.

        Returns:
            The sums over everything, (sums,).
        """
        rows, row = size
        pieces = [Plane(rows, words) for words in planes]
        numbers = len(planes) * rows * row
        totals = self._totals(name, like, shared, pieces, numbers, sums, memory, settings)
        return like_of(summed(totals), like)

    def run_planes(
        self,
        name: str,
        like: AnyArray,
        shared: Words,
        planes: Sequence[Plane],
        numbers: int,
        sums: int,
        memory: Words | None = None,
        settings: Sequence[object] = (),
    ) -> AnyArray:
        """Run a kernel on planes that may differ in size; see :meth:`run`.

        Args:
            name: Name of the kernel.
            like: Has the type and the dtype of the sums.
            shared: Words that are the same everywhere.
            planes: Those that take longest first, so that threads end together.
            numbers: Of all planes together.
            sums: How many sums the kernel writes to ``totals``.
            memory: Bytes of a thread's own memory.
            settings: What the kernels are built for, besides the precision.

        Returns:
            The sums of each chunk of each plane, one plane after the other, (chunks, sums).
        """
        return like_of(self._totals(name, like, shared, planes, numbers, sums, memory, settings), like)

    def _totals(
        self,
        name: str,
        like: AnyArray,
        shared: Words,
        planes: Sequence[Plane],
        numbers: int,
        sums: int,
        memory: Words | None,
        settings: Sequence[object],
    ) -> npt.NDArray[Any]:
        """The sums of each chunk as an array of NumPy, whose operations on so few numbers begin sooner."""
        precision = Precision.of(like)
        kernel = load(self.emitter, self.title, *settings, precision, sources=self.sources)[name]
        at = _positions(self.emitter)
        words = self._words(shared, planes)
        totals = np.zeros((len(words), sums), precision.dtype)
        if sums:
            step = sums * totals.itemsize
            words[:, at["totals"]] = address(totals) + step * np.arange(len(words))
        of_sums = {"sums": sums * VECTOR_BYTES} if sums else {}
        starts: Words
        starts, own_bytes = _places({**of_sums, **(memory or {})})
        places = np.array([at[part] for part in starts], np.int64)
        offsets = np.array([*starts.values()], np.int64)

        def work(deal: Deal) -> None:
            kept = scratch(own_bytes)
            kernel.take(deal, words, places, address(kept) + offsets)

        in_parallel(work, len(words), 1 + numbers // self.thread_numbers)
        return totals

    def _words(self, shared: Words, planes: Sequence[Plane]) -> npt.NDArray[np.int64]:
        """The words of each chunk of each plane, one plane after the other, (chunks, words)."""
        at = _positions(self.emitter)
        chunks = [self.chunks(plane.rows) for plane in planes]
        words = np.empty((sum(map(len, chunks)), len(at)), np.int64)
        words[:] = self.emitter.Kernel.words(**shared)
        start = 0
        for plane, bounds in zip(planes, chunks, strict=True):
            own = words[start : start + len(bounds)]
            own[:, at["first_row"]], own[:, at["last_row"]] = bounds.T
            for name, value in plane.words.items():
                own[:, at[name]] = value
            for name, column in plane.of_chunks.items():
                own[:, at[name]] = column
            start += len(bounds)
        return words


@cache
def _positions(emitter: ModuleType) -> dict[str, int]:
    """Where each word of a kernel lies among its arguments."""
    return {name: position for position, name in enumerate(emitter.Kernel.names())}


@lru_cache(maxsize=1024)
def _chunks(rows: int, unit: int, least: int, most: int | None) -> npt.NDArray[np.int64]:
    units = -(-rows // unit)
    found = np.array(chunks_of(units, least, most or units), np.int64).reshape(-1, 2) * unit
    found[:, 1] = np.minimum(found[:, 1], rows)
    found.flags.writeable = False
    return found


def _places(sizes: Words) -> tuple[Words, int]:
    """Where parts of a memory begin in it, each at a whole vector, and how large it is, in bytes."""
    *starts, total = accumulate(
        (VECTOR_BYTES * -(-size // VECTOR_BYTES) for size in sizes.values()), initial=0
    )
    return dict(zip(sizes, starts, strict=True)), total
