"""What a signal is: kind, axes, channels and range."""

from quinr_pl.signals.array import ARRAY
from quinr_pl.signals.audio import AUDIO
from quinr_pl.signals.files import Signal, write_signal
from quinr_pl.signals.grid import coordinate_values, coordinates
from quinr_pl.signals.image import IMAGE_8, IMAGE_16, image_spec
from quinr_pl.signals.intensity import Intensities, Intensity
from quinr_pl.signals.kind import FileContent, SignalKind
from quinr_pl.signals.kinds import KINDS
from quinr_pl.signals.motion import Motion, MovedView
from quinr_pl.signals.range_image import RANGE_IMAGE
from quinr_pl.signals.scanner import Points, Scanner
from quinr_pl.signals.spec import MOST_AXES, ReferenceFrame, SignalSpec
from quinr_pl.signals.volume import VOLUME

__all__ = [
    "ARRAY",
    "AUDIO",
    "IMAGE_8",
    "IMAGE_16",
    "KINDS",
    "MOST_AXES",
    "RANGE_IMAGE",
    "VOLUME",
    "FileContent",
    "Intensities",
    "Intensity",
    "Motion",
    "MovedView",
    "Points",
    "ReferenceFrame",
    "Scanner",
    "Signal",
    "SignalKind",
    "SignalSpec",
    "coordinate_values",
    "coordinates",
    "image_spec",
    "write_signal",
]
