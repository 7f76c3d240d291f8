"""Range images of KITTI odometry scans."""

from __future__ import annotations

from pathlib import Path

from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE, data_root
from quinr_pl.datamodules.range_image import Projection, range_image_signal
from quinr_pl.datamodules.scan_file import ScanFormat, read_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal


class KittiRangeImageDataModule(CoordinateDataModule):
    """The range image of one scan of the KITTI odometry benchmark (Geiger et al. 2012).

    The scan is ``sequences/SS/velodyne/FFFFFF.bin`` below the root or below its folder ``kitti``. It is
    not downloaded: the benchmark asks for a registration.

    Args:
        sequence: Sequence, "00" to "21".
        frame: Frame, "000000" and so on.
        root: Folder of the data; the environment variable ``QUINR_DATA`` when left out.
        floats: Numbers of a point, see `ScanFormat`, as for the following two.
        byte_order: Of the numbers, "little" or "big".
        float_bits: Of the numbers, 32 or 64.
        projection: "field_of_view" or "beam_order", see `Projection`, as for the following.
        height: Rows.
        width: Columns.
        fov_up: Elevation of the upper edge in degrees.
        fov_down: Elevation of the lower edge in degrees.
        peak: Range in metres that target 1 stands for.
        mask: Whether the file says which pixels have a return; the network then gives only those.
        batch_size: Coordinates in a training step; null for the whole signal.
        steps_per_epoch: Training steps in an epoch; one pass over the signal when left out.
        eval_batch_size: Coordinates in a block of validation, test and prediction.
        seed: Seed of the order of training coordinates.
    """

    def __init__(
        self,
        sequence: str = "00",
        frame: str = "000000",
        root: str | None = None,
        floats: int | None = None,
        byte_order: str | None = None,
        float_bits: int | None = None,
        projection: str = "field_of_view",
        height: int = 64,
        width: int = 1024,
        fov_up: float = 3.0,
        fov_down: float = -25.0,
        peak: float = 80.0,
        mask: bool = True,
        batch_size: int | None = 4096,
        steps_per_epoch: int | None = None,
        eval_batch_size: int = 65536,
        seed: int = 0,
    ) -> None:
        for flag, value in (("sequence", sequence), ("frame", frame)):
            if not str(value).isdecimal():
                raise QuinrError(f"--data.{flag} {value}: must be a number such as 00 or 000000")
        sequence, frame = str(sequence).zfill(2), str(frame).zfill(6)
        super().__init__(f"{sequence}-{frame}", batch_size, steps_per_epoch, eval_batch_size, seed)
        self.sequence = sequence
        self.frame = frame
        self.root = root
        self.scan_format = ScanFormat(floats, byte_order, float_bits)
        self.projection = Projection(projection, height, width, fov_up, fov_down, peak, mask)

    @property
    def channels(self) -> int:
        """A range image has one value a pixel."""
        return 1

    def read(self) -> Signal:
        """Project the scan.

        Raises:
            QuinrError: If the scan is missing or malformed.
        """
        path = self.scan_path()
        return range_image_signal(read_scan(path, self.scan_format), self.projection, str(path))

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
