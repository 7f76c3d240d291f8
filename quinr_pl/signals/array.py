"""Arrays: real numbers in any interval."""

from __future__ import annotations

from quinr_pl.signals.kind import SignalKind

ARRAY = SignalKind(3, "array", ("height", "width"), "float32", (0.0, 1.0))
