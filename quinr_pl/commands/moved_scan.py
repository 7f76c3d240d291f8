"""A scan that the one before shows well enough: a mask and how the scanner has moved, without any fit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from quinr_pl.commands.rate import CompressedFile

if TYPE_CHECKING:
    from quinr_pl.callbacks import FollowingFrame
    from quinr_pl.datamodules import CoordinateDataModule


def moved_scan(
    data: CoordinateDataModule, after: FollowingFrame, chamfer: float, rate_weight: float | None
) -> CompressedFile | None:
    """The frame of a scan that is told by motion alone; None where its points are farther off than allowed.

    Args:
        data: Of the scan, after its ``setup``; its spec becomes that of the frame.
        after: Tells it by the scan before.
        chamfer: The largest Chamfer distance, in metres.
        rate_weight: Told for that of the scan before.
    """
    from quinr_pl.callbacks.following_frame import add_motion
    from quinr_pl.codec import UNLIMITED, decode, encode
    from quinr_pl.evaluation.metrics import finite, rate_and_distortion

    start = time.perf_counter()
    if data.points is None:
        return None
    reference = after.follow(data)
    if reference.targets is None:
        return None
    add_motion(data)
    quantized = reference.quantized
    frame = encode(quantized.without_integers(), data.spec).data
    decoded = decode(frame, limits=UNLIMITED, reference=reference)
    values = decoded.reconstruct()
    points = decoded.spec.points(values)
    figures = rate_and_distortion(len(frame), data.values, values, data.spec, data.valid, data.points, points)
    if figures["chamfer"] > chamfer:
        return None
    seconds = round(time.perf_counter() - start, 3)
    told = {"seconds": seconds, "network": quantized.network.network_name(), "lambda": rate_weight}
    return CompressedFile(frame, {**finite(figures), **told})
