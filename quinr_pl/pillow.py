"""Pillow opens and saves ``.quinr`` files once this module is imported.

Example:
    >>> from PIL import Image
    >>> import quinr_pl.pillow
    >>> with Image.open("photo.quinr") as photo:
    ...     photo.size, photo.mode
    ((51, 70), 'RGB')
"""

from __future__ import annotations

import io
from typing import IO, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from quinr_pl.codec.decoding import decode, read_spec
from quinr_pl.codec.file.container import MAGIC
from quinr_pl.codec.file.limits import DecodeLimits
from quinr_pl.codec.file.source import read_source
from quinr_pl.errors import QuinrError
from quinr_pl.signals import SignalSpec

FORMAT, SUFFIX = "QUINR", ".quinr"
_MODES = {
    ("uint8", 1): ("L", "L"),
    ("uint8", 2): ("LA", "LA"),
    ("uint8", 3): ("RGB", "RGB"),
    ("uint8", 4): ("RGBA", "RGBA"),
    ("uint16", 1): ("I;16", "I;16"),
    ("float32", 1): ("F", "F;32F"),
}
"""Modes of Pillow, and how their bytes come, by dtype and channels."""
_SAVED = {"1": "L", "P": "RGB", "PA": "RGBA", "I;16B": "I;16"}
"""What modes are converted to, without loss, where they are not saved as they are."""


class QuinrImageFile(ImageFile.ImageFile):
    """A ``.quinr`` file: size and mode come from its header, and it is decoded when pixels are asked for."""

    format = FORMAT
    format_description = "Quantum implicit neural representation"

    def _open(self) -> None:
        assert self.fp is not None, "Pillow opens the file"
        self._limits = DecodeLimits()
        self._data, self._source = read_source(cast(BinaryIO, self.fp), self._limits.file_bytes)
        spec = read_spec(self._data, self._source, self._limits)
        self._mode, self._rawmode = _modes(spec, self._source)
        self._size = spec.shape[1], spec.shape[0]

    def load(self) -> Image.core.PixelAccess | None:
        """Decode the file, the first time.

        Raises:
            BitstreamError: In one line, if the file is not valid or asks for more than the limits.
        """
        if self._data:
            values = decode(self._data, self._source, self._limits).reconstruct()
            self._data = b""
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(values.astype(values.dtype.newbyteorder("<")).tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self._rawmode)]
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Nothing to do: the pixels begin where the stream does."""


def _modes(spec: SignalSpec, name: str) -> tuple[str, str]:
    found = _MODES.get((spec.dtype.name, spec.channels)) if len(spec.shape) == 2 else None
    if found is None:
        shape = " x ".join(map(str, (*spec.shape, spec.channels)))
        raise QuinrError(
            f"{name}: {spec.kind.name} of {shape} has no mode in Pillow; quinr_pl.decompress gives the array"
        )
    return found


def _values(image: Image.Image) -> npt.NDArray:
    """The pixels of an image, of a dtype and number of channels that a file keeps.

    Raises:
        OSError: If the mode has none, as Pillow's own formats say it.
    """
    mode = image.mode
    if mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    elif mode in _SAVED:
        image = image.convert(_SAVED[mode])
    if mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise OSError(f"cannot write mode I beyond 16 bits as {FORMAT}")
        return values.astype(np.uint16)
    if image.mode not in {mode for mode, _ in _MODES.values()}:
        raise OSError(f"cannot write mode {mode} as {FORMAT}")
    return np.asarray(image)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Options of ``image.save`` are those of ``quinr_pl.compress``: bpp, bytes, psnr, effort and so on."""
    values = _values(image)
    from quinr_pl.arrays import compress  # imports Lightning, which opening does without

    file.write(compress(values, **image.encoderinfo))


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


Image.register_open(FORMAT, QuinrImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
