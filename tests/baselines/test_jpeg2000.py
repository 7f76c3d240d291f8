from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from processes import completed

from quinr_pl import openjpeg
from quinr_pl.baselines.jpeg2000 import JPEG2000
from quinr_pl.datamodules import KittiRangeImageDataModule, KodakDataModule, SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.signals import RANGE_IMAGE, SignalSpec, image_spec
from quinr_pl.signals.distortion import psnr


@pytest.fixture(scope="module")
def photograph():
    data = SampleDataModule("coffee", longer_side=300)
    data.setup()
    return data


@pytest.mark.parametrize("bpp", [0.1, 1.0])
def test_rate_and_independent_decoder(photograph, bpp):
    codestream = JPEG2000().encode(photograph.values, photograph.spec, bpp)
    assert codestream[:4] == b"\xff\x4f\xff\x51"  # start of codestream, size: no .jp2 boxes
    assert 8 * len(codestream) / photograph.spec.pixels == pytest.approx(bpp, rel=0.1)
    with Image.open(io.BytesIO(codestream)) as picture:
        expected = np.asarray(picture)
    np.testing.assert_array_equal(JPEG2000().decode(codestream, photograph.spec), expected)


def test_strong_default_beats_the_options(photograph):
    def quality(settings):
        codestream = settings.encode(photograph.values, photograph.spec, 0.5)
        return psnr(photograph.values, settings.decode(codestream, photograph.spec), 255)

    best = quality(JPEG2000())
    assert best > quality(JPEG2000(wavelet="5/3")) + 0.2
    assert best > quality(JPEG2000(colour_transform=False)) + 0.2


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 1), (2, 3, 4), (16, 16, 3), (17, 5, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_small_images_without_loss(shape, dtype):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    spec = image_spec(values)
    settings = JPEG2000(wavelet="5/3")
    decoded = settings.decode(settings.encode(values, spec, 8.0 * values.itemsize * shape[2]), spec)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, values)


@pytest.mark.parametrize(("bits", "error"), [(8, 80 / 255 / 2), (16, 80 / 65535 / 2)])
def test_range_image_depth(bits, error):
    spec = SignalSpec(RANGE_IMAGE, (8, 32), 1, 0.0, 80.0)
    metres = np.random.default_rng(0).uniform(0, 80, (8, 32, 1)).astype(np.float32)
    settings = JPEG2000(wavelet="5/3", bits=bits)
    decoded = settings.decode(settings.encode(metres, spec, float(bits)), spec)
    assert np.abs(decoded - metres).max() <= error + 1e-5  # and the rounding of float32


def test_bad_settings(photograph):
    with pytest.raises(QuinrError, match="9/7, 5/3"):
        JPEG2000(wavelet="haar")
    with pytest.raises(QuinrError, match="8 or 16"):
        JPEG2000(bits=12)
    with pytest.raises(QuinrError, match="0 bpp"):
        JPEG2000().encode(photograph.values, photograph.spec, 0)


def test_needs_no_system_library(tmp_path):
    """In a new process, whose glymur has not been imported and has no configuration."""
    program = (
        "import ctypes.util, os\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from quinr_pl.openjpeg import openjpeg_version\n"
        "print(openjpeg_version(), os.environ['XDG_CONFIG_HOME'])\n"
    )
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": ""}
    answer = completed([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    assert answer.returncode == 0, answer.stderr
    version, folder = answer.stdout.split()
    assert tuple(map(int, version.split("."))) >= (2, 3)
    assert folder == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_library_at_all(monkeypatch):
    monkeypatch.setitem(
        sys.modules, "glymur", SimpleNamespace(version=SimpleNamespace(openjpeg_version="0.0.0"))
    )
    with pytest.raises(QuinrError, match="install OpenJPEG"):
        openjpeg.glymur.__wrapped__()


@pytest.mark.data
@pytest.mark.parametrize(("bpp", "expected"), [(0.030, 26.91), (0.100, 29.55), (0.609, 34.94)])
def test_kodim02(data_root, bpp, expected):
    data = KodakDataModule(root=str(data_root), download=False)
    data.setup()
    decoded = JPEG2000().decode(JPEG2000().encode(data.values, data.spec, bpp), data.spec)
    assert psnr(data.values, decoded, 255) == pytest.approx(expected, abs=0.05)


@pytest.mark.data
@pytest.mark.parametrize(("bpp", "expected"), [(0.10, 27.2), (0.50, 36.1), (2.0, 51.9)])
def test_kitti_scan(data_root, bpp, expected):
    data = KittiRangeImageDataModule(root=str(data_root))
    data.setup()
    decoded = JPEG2000().decode(JPEG2000().encode(data.values, data.spec, bpp), data.spec)
    assert psnr(data.values, decoded, 80) == pytest.approx(expected, abs=0.06)  # measured to one digit before
