"""Pillow opens and saves `.quinr` files."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import quinr_pl.pillow
from quinr_pl import decompress
from quinr_pl.codec import BitstreamError, Nearest, encode
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import ARRAY, IMAGE_8, SignalSpec

DATA = Path(__file__).parent / "data"
QUICK = {
    "settings": {
        "trainer.max_steps": 2,
        "data.batch_size": 64,
        "data.steps_per_epoch": 2,
        "quantization": {"method": "nearest", "bits": 8},
    },
    "config": "compress_coordinates.yaml",
}


def made(spec: SignalSpec) -> bytes:
    network = COIN(out_features=spec.channels, in_features=len(spec.shape), layers=1, width=4)
    return encode(Nearest().quantize(network, spec), spec).data


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("latent_rgb8", "RGB"),
        ("quinr_paper_gray8", "L"),
        ("latent_relu_gray16", "I;16"),
        ("quinr_mask_range", "F"),
    ],
)
def test_opens_with_the_decoders_pixels(name: str, mode: str) -> None:
    values = decompress(DATA / f"{name}.quinr")
    with Image.open(DATA / f"{name}.quinr") as image:
        assert (image.format, image.mode, image.size) == ("QUINR", mode, values.shape[1::-1])
        pixels = np.asarray(image)
    assert pixels.dtype == values.dtype
    np.testing.assert_array_equal(pixels.reshape(values.shape), values)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_each_number_of_channels_has_its_mode(channels: int, mode: str) -> None:
    data = made(SignalSpec(IMAGE_8, (5, 7), channels, 0.0, 255.0))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.mode, image.size) == (mode, (7, 5))
        np.testing.assert_array_equal(np.asarray(image).reshape(5, 7, channels), decompress(data))


def test_nothing_is_decoded_before_pixels_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(quinr_pl.pillow, "decode", decoded)
    with Image.open(DATA / "latent_rgb8.quinr") as image:
        assert image.size == (51, 70)
        with pytest.raises(AssertionError, match="decoded"):
            image.load()


def test_what_pillow_has_no_mode_for_is_refused_in_one_line() -> None:
    for path in (DATA / "coin_rgba16.quinr", DATA / "coin_array.quinr"):
        with pytest.raises(QuinrError, match=r"has no mode in Pillow; quinr_pl\.decompress"):
            Image.open(path)
    with pytest.raises(QuinrError, match="no mode"):
        Image.open(io.BytesIO(made(SignalSpec(ARRAY, (2, 3), 5, 0.0, 1.0))))


def test_a_damaged_file_is_told() -> None:
    data = bytearray((DATA / "latent_rgb8.quinr").read_bytes())
    data[-20] ^= 1
    with pytest.raises(BitstreamError, match="checksum"):
        Image.open(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F", "1", "P", "I"])
def test_saves_what_compress_makes(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def compress(values: np.ndarray, **options: object) -> bytes:
        given.append((values, options))
        return b"QNR"

    monkeypatch.setattr("quinr_pl.arrays.compress", compress)
    ramp = np.arange(60).reshape(6, 10)
    image = Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.uint8))
    image = image if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "x.quinr", bpp=0.1, effort=1)
    ((values, options),) = given
    assert options == {"bpp": 0.1, "effort": 1}
    assert values.dtype == {"I;16": np.uint16, "I": np.uint16, "F": np.float32}.get(mode, np.uint8)
    shown = {"1": "L", "P": "RGB"}.get(mode, mode)
    np.testing.assert_array_equal(values, np.asarray(image.convert(shown) if shown != mode else image))
    assert (tmp_path / "x.quinr").read_bytes() == b"QNR"


def test_other_modes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write mode CMYK"):
        Image.new("CMYK", (3, 3)).save(tmp_path / "x.quinr")
    with pytest.raises(OSError, match="beyond 16 bits"):
        Image.new("I", (3, 3), -1).save(tmp_path / "x.quinr")


def test_what_is_saved_opens_again(tmp_path: Path) -> None:
    shutil.copy(DATA / "latent_rgb8.quinr", tmp_path / "photo.quinr")
    with Image.open(tmp_path / "photo.quinr") as photo:
        photo.crop((0, 0, 20, 15)).save(tmp_path / "part.quinr", **QUICK)
    with Image.open(tmp_path / "part.quinr") as part:
        assert (part.mode, part.size) == ("RGB", (20, 15))
        assert part.load() is not None
