"""Signals that wait for a moment at which a fit can be continued."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class DeferredInterruption:
    """Holds back the signals that end a process, where it has handlers for them.

    In the middle of a step some weights are new and others old. A second signal is not held back.

    Attributes:
        delivered: Whether a signal came, and was passed on at the right moment.
    """

    def __init__(self) -> None:
        self.delivered = False
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._pending: int | None = None

    def begin(self) -> None:
        """Takes the handlers' place; without effect outside the main thread, which gets no signals."""
        self.delivered = False
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._hold_back)

    def deliver(self) -> None:
        """Passes on the signal that was held back, if there is one."""
        if self._pending is not None:
            number, handlers = self._pending, dict(self._handlers)
            self.end()
            self.delivered = True
            handlers[number](number, None)

    def end(self) -> None:
        """Gives the handlers their place again."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers, self._pending = {}, None

    def _hold_back(self, number: int, frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = number
            return
        handler = self._handlers[number]
        self.end()
        handler(number, frame)
