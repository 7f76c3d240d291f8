"""What a training step asks of a device: operations that torch dispatches, and launches of kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from torch.utils._python_dispatch import TorchDispatchMode

_ON_THE_HOST = {
    *("new_empty", "empty", "empty_like", "empty_strided", "view", "_unsafe_view", "as_strided", "detach"),
    *("alias", "slice", "select", "split", "split_with_sizes", "permute", "transpose", "t", "expand"),
    *("unsqueeze", "squeeze", "unbind", "_reshape_alias", "lift_fresh"),
}
"""Operations that only make memory, or another view of it."""


class Operations(TorchDispatchMode):
    """Counts operations by name, as ``counts``; launches of kernels have names that begin with ``kernel``."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def all(self) -> int:
        """Number of all of them."""
        return self.counts.total()

    @property
    def on_device(self) -> int:
        """Number of those that give the device something to do."""
        return sum(count for name, count in self.counts.items() if name not in _ON_THE_HOST)


@contextmanager
def counted(kernel: type[Callable[..., None]]) -> Iterator[Operations]:
    """Count what is dispatched and launched.

    Args:
        kernel: The class whose instances launch kernels when they are called.
    """
    call = kernel.__call__
    with Operations() as found:

        def launch(self: Any, *arguments: Any, **options: Any) -> None:
            found.counts[f"kernel {self.name}"] += 1
            call(self, *arguments, **options)

        with mock.patch.object(kernel, "__call__", launch):
            yield found
