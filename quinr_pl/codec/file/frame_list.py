"""The container of several frames: their number, then each one behind its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quinr_pl.codec.file.container import MAGIC, VERSION, BitstreamError, Reader, Writer, check_sum

FRAMES_VERSION = 2
"""What stands in the place of the version in a file of several frames."""
_HEAD = MAGIC + bytes([FRAMES_VERSION])
_ALONE = MAGIC + bytes([VERSION])


@dataclass(frozen=True)
class FramePart:
    """One frame of a file.

    Args:
        data: A file of one signal if it is a key frame; else sections and their checksum.
        is_key: Whether it stands for itself; else it is told by the frame before.
        size: Bytes of the file that it takes, its length included.
    """

    data: bytes
    is_key: bool
    size: int


def holds_frames(data: bytes) -> bool:
    """Whether a file says in its first bytes that it holds frames."""
    return data[: len(_HEAD)] == _HEAD


def is_key_frame(data: bytes) -> bool:
    """Whether a frame, as ``quinr_pl.codec.encode`` gave it, stands for itself."""
    return data.startswith(_ALONE)


def pack_frames(frames: Sequence[bytes]) -> bytes:
    """The file of some frames.

    Args:
        frames: Of each what ``quinr_pl.codec.encode`` gave; the first one stands for itself.
    """
    writer = Writer()
    writer.raw(_HEAD)
    writer.varint(len(frames))
    for frame in frames:
        writer.varint(len(frame) << 1 | is_key_frame(frame))
        writer.raw(frame)
    return writer.getvalue()


def split_frames(data: bytes) -> tuple[int, list[FramePart]]:
    """How many frames a file was written with, and those before the first that is cut or damaged.

    Raises:
        BitstreamError: If the first one is, or something follows the last one.
    """
    reader = Reader(data, "the list of frames")
    reader.raw(len(_HEAD))
    count = reader.varint()
    frames: list[FramePart] = []
    while len(frames) < count:
        start = reader.position
        try:
            head = reader.varint()
            part = reader.raw(head >> 1)
            check_sum(part)
        except BitstreamError:
            break
        frames.append(FramePart(part, bool(head & 1), reader.position - start))
    else:
        reader.end()
    if not frames or not frames[0].is_key:
        raise BitstreamError(f"the first of {count} frames is damaged or cut: get a fresh copy")
    return count, frames
