"""Lightning callbacks of a fit: rounding, files, figures and progress."""

from quinr_pl.callbacks.best_start import BestStart
from quinr_pl.callbacks.bitrate import BitrateMonitor
from quinr_pl.callbacks.following_frame import FollowingFrame
from quinr_pl.callbacks.inherited_weights import InheritedWeights
from quinr_pl.callbacks.lightning_parity import LightningParity
from quinr_pl.callbacks.network_logger import NetworkLogger
from quinr_pl.callbacks.progress import FitProgress, FitReport
from quinr_pl.callbacks.psnr_checkpoint import PSNRCheckpoint
from quinr_pl.callbacks.quantization import WeightQuantization
from quinr_pl.callbacks.rate_control import RateControl
from quinr_pl.callbacks.reconstruction import ReconstructionLogger, ReconstructionWriter

__all__ = [
    "BestStart",
    "BitrateMonitor",
    "FitProgress",
    "FitReport",
    "FollowingFrame",
    "InheritedWeights",
    "LightningParity",
    "NetworkLogger",
    "PSNRCheckpoint",
    "RateControl",
    "ReconstructionLogger",
    "ReconstructionWriter",
    "WeightQuantization",
]
