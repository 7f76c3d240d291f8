"""What a signal is: kind, axes, channels and range."""

from quinr_pl.signals.spec import SignalKind, SignalSpec, coordinates

__all__ = ["SignalKind", "SignalSpec", "coordinates"]
