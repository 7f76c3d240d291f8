"""Signals as coordinate datasets."""

from __future__ import annotations

from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.datamodules.image_file import ImageDataModule, read_signal
from quinr_pl.datamodules.kitti import KittiRangeImageDataModule
from quinr_pl.datamodules.kodak import KodakDataModule
from quinr_pl.datamodules.sample import SampleDataModule
from quinr_pl.datamodules.scan_datamodule import RangeImageDataModule, ScanFileDataModule
from quinr_pl.datamodules.synthetic_scan import SyntheticScanDataModule

__all__ = [
    "CoordinateDataModule",
    "ImageDataModule",
    "KittiRangeImageDataModule",
    "KodakDataModule",
    "RangeImageDataModule",
    "SampleDataModule",
    "ScanFileDataModule",
    "SyntheticScanDataModule",
    "read_signal",
]
