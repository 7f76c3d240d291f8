"""Range images of KITTI odometry scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE, data_root
from quinr_pl.datamodules.range_image import range_image_signal
from quinr_pl.datamodules.scan_datamodule import ScanFileDataModule
from quinr_pl.datamodules.scan_file import intensities_of, read_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal


class KittiRangeImageDataModule(ScanFileDataModule):
    """The range image of one scan of the KITTI odometry benchmark (Geiger et al. 2012).

    The scan is ``sequences/SS/velodyne/FFFFFF.bin`` below the root or below its folder ``kitti``. It is
    not downloaded: the benchmark asks for a registration.

    Args:
        sequence: Sequence, "00" to "21".
        frame: Frame, "000000" and so on.
        root: Folder of the data; the environment variable ``QUINR_DATA`` when left out.
        **scan: Further arguments of `ScanFileDataModule`.
    """

    def __init__(
        self,
        sequence: str = "00",
        frame: str = "000000",
        root: str | None = None,
        **scan: Any,
    ) -> None:
        for flag, value in (("sequence", sequence), ("frame", frame)):
            if not str(value).isdecimal():
                raise QuinrError(f"--data.{flag} {value}: must be a number such as 00 or 000000")
        sequence, frame = str(sequence).zfill(2), str(frame).zfill(6)
        super().__init__(f"{sequence}-{frame}", **scan)
        self.sequence = sequence
        self.frame = frame
        self.root = root

    def read(self) -> Signal:
        """Project the scan.

        Raises:
            QuinrError: If the scan is missing or malformed.
        """
        path = self.scan_path()
        points = read_scan(path, self.scan_format)
        return range_image_signal(points, self.projection, str(path), intensities_of(points))

    def scan_path(self) -> Path:
        """The scan's file.

        Raises:
            QuinrError: If it is not below the root.
        """
        root = data_root(self.root)
        inside = Path("sequences") / self.sequence / "velodyne" / f"{self.frame}.bin"
        if root is None:
            raise QuinrError(
                f"KITTI scan {inside}: no root given; set --data.root or {ENVIRONMENT_VARIABLE} to the "
                "folder that holds it, or run kitti_sample.yaml, which needs no data"
            )
        for base in (root, root / "kitti", root / "dataset"):
            if (base / inside).is_file():
                return base / inside
        raise QuinrError(
            f"{root / inside}: no such scan; set --data.root or {ENVIRONMENT_VARIABLE} to the folder of "
            "KITTI's `sequences`, or run kitti_sample.yaml, which needs no data"
        )
