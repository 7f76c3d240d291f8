"""What `quinr_pl` offers by itself."""

from __future__ import annotations

import doctest
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import completed

import quinr_pl
from quinr_pl.errors import QuinrError

DATA = Path(__file__).parent / "data"
QUICK = {
    "trainer.max_steps": 4,
    "data.batch_size": 64,
    "data.steps_per_epoch": 2,
    "quantization": {"method": "nearest", "bits": 8},
}


COORDINATES = {"config": "compress_coordinates.yaml"}


def test_nothing_heavy_is_imported_before_it_is_asked_for():
    code = (
        "import sys, quinr_pl; assert set(quinr_pl.__all__) <= set(dir(quinr_pl)); "
        "assert not {'torch', 'numpy'} & set(sys.modules), sys.modules"
    )
    done = completed([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr


def test_a_clone_takes_its_own_folders_whatever_is_installed(tmp_path):
    root = Path(quinr_pl.__file__).parent.parent
    if not (root / "callbacks").is_dir():
        pytest.skip("the package is installed apart from its clone")
    folders = ("callbacks", "configs", "datamodules")
    for name in ("quinr_pl", *folders):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import importlib; print(*(importlib.import_module('quinr_pl.' + name).__file__ for name in {}))"
    done = completed([sys.executable, "-c", code.format(folders)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / name / "__init__.py") for name in folders]


def test_each_name_is_there():
    for name in quinr_pl.__all__:
        assert getattr(quinr_pl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'abacus'"):
        quinr_pl.abacus  # noqa: B018


@pytest.mark.parametrize("name", ["compress", "decompress", "QuantumLayer"])
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "latent_rgb8.quinr", "photo.quinr")
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(quinr_pl, name), name, globs={})
    result = doctest.DocTestRunner().run(example)
    assert result.attempted > 2
    assert result.failed == 0


def test_an_array_comes_back_and_nothing_else_changes(capfd):
    rows, columns = np.mgrid[:20, :30]
    array = 1e3 + rows * np.cos(columns / 9)
    torch.manual_seed(7)
    generators = torch.get_rng_state()
    data = quinr_pl.compress(array, settings=QUICK)
    assert torch.equal(torch.get_rng_state(), generators)
    assert data == quinr_pl.compress(array, settings=QUICK)
    assert data != quinr_pl.compress(array, settings=QUICK, seed=1)
    back = quinr_pl.decompress(data)
    assert (back.shape, back.dtype) == ((20, 30, 1), np.float32)
    assert array.min() <= back.min() < back.max() <= array.max() * (1 + 1e-6)
    assert capfd.readouterr() == ("", "")


def test_a_function_is_told_how_far_the_work_is(capfd):
    told = []
    array = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    data = quinr_pl.compress(array, settings=QUICK, **COORDINATES, progress=told.append)
    assert all(isinstance(status, quinr_pl.FitStatus) for status in told)
    shares = [status.share for status in told]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert {"fitting 2/4", "rounding"} <= {status.stage for status in told}
    last = told[-1]
    assert (last.psnr, last.bytes, last.bpp) == tuple(data.figures[name] for name in ("psnr", "bytes", "bpp"))
    assert capfd.readouterr() == ("", "")


def test_what_a_told_function_raises_ends_the_work():
    class Enough(Exception):
        pass

    def tell(status):
        if status.share > 0.5:
            raise Enough

    with pytest.raises(Enough):
        quinr_pl.compress(np.eye(20), settings=QUICK, **COORDINATES, progress=tell)


def test_a_setting_may_be_longer_than_a_line():
    rates = {"rate": 6.0, "points": 768, "damping": 0.01, "retraining_steps": 1}
    settings = QUICK | {"quantization": {"method": "stepwise", **rates, "retraining_learning_rate": 5e-4}}
    assert quinr_pl.decompress(quinr_pl.compress(np.eye(20), settings=settings)).shape == (20, 20, 1)


@pytest.mark.parametrize(
    ("array", "options", "said"),
    [
        ([["a"]], {}, "array: its dtype is <U1; give integers or real numbers"),
        ([1.0, 2.0], {}, r"array: shape \(2,\)"),
        ([[1, 2]], {"bpp": 1, "psnr": 30}, "--bpp and --psnr: give one of"),
        ([[1, 2]], {"bpp": -1}, "bpp -1"),
        ([[1, 2]], {"config": "nowhere.yaml"}, "nowhere.yaml"),
        ([[1, 2]], {"settings": {"model.network.qubits": 0}}, "model.network.qubits 0"),
    ],
)
def test_what_cannot_be_compressed_is_refused_in_one_line(array, options, said):
    with pytest.raises(QuinrError, match=said) as refused:
        quinr_pl.compress(array, **options)
    assert "\n" not in str(refused.value)


def test_a_file_is_bytes_a_path_or_a_stream(tmp_path):
    path = DATA / "latent_rgb8.quinr"
    expected = quinr_pl.decompress(path.read_bytes())
    with path.open("rb") as stream:
        for source in (path, str(path), bytearray(path.read_bytes()), memoryview(path.read_bytes()), stream):
            np.testing.assert_array_equal(quinr_pl.decompress(source), expected)
    with pytest.raises(QuinrError, match=r"gone\.quinr'?: cannot read \(No such file"):
        quinr_pl.decompress(tmp_path / "gone.quinr")
    with path.open(errors="replace") as text, pytest.raises(QuinrError, match="open it in binary mode"):
        quinr_pl.decompress(text)
    (tmp_path / "cut.quinr").write_bytes(path.read_bytes()[:50])
    with pytest.raises(QuinrError, match=r"cut\.quinr: the checksum"):
        quinr_pl.decompress(tmp_path / "cut.quinr")


def test_a_path_gives_what_its_array_gives(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    np.save(tmp_path / "array.npy", array)
    data = quinr_pl.compress(tmp_path / "array.npy", settings=QUICK, **COORDINATES)
    assert data == quinr_pl.compress(array, settings=QUICK, **COORDINATES)
    assert data.figures["bytes"] == len(data)
    again = pickle.loads(pickle.dumps(data))
    assert (again, again.figures) == (data, data.figures)
    with pytest.raises(QuinrError, match=r"gone\.png: no such file"):
        quinr_pl.compress(tmp_path / "gone.png")
