from __future__ import annotations

import io
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError
from processes import COMMAND, completed

from quinr_pl.codec import decode, encode
from quinr_pl.commands.main import main

DATA = Path(__file__).parents[1] / "data"
TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")
QUICK = str(Path(__file__).parents[1] / "conf" / "quick_callbacks.yaml")
SMALL_FIT = ["--config", TINY, "--config", QUICK, "--trainer.max_steps", "4"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(name: str, to: str) -> np.ndarray:
    """Copies a golden file; gives the values that it decodes to."""
    shutil.copy(DATA / f"{name}.quinr", to)
    return np.load(DATA / f"{name}.npy")


def read_values(source) -> np.ndarray:
    """Values of a PNG or of an .npy file."""
    try:
        values = np.asarray(Image.open(source))
    except UnidentifiedImageError:
        if isinstance(source, io.BytesIO):
            source.seek(0)
        values = np.load(source)
    return values.astype(float)


def assert_decoded(source, values: np.ndarray) -> None:
    """What a file holds are the values of a golden file, but for another machine's rounding."""
    back = read_values(source)
    np.testing.assert_allclose(back, values.reshape(back.shape), atol=1 if values.dtype.kind == "u" else 1e-3)


def error_lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("quinr-pl: error:")]


def test_compress_decompress_and_inspect(capsys):
    values = (np.arange(20 * 12).reshape(20, 12) * 250).astype(np.uint16)
    Image.fromarray(values).save("photo.png")
    fit = [*SMALL_FIT, "--data.steps_per_epoch", "2"]
    assert main(["compress", "photo.png", "-o", "photo.quinr", *fit]) == 0
    assert main(["decompress", "photo.quinr", "-o", "back.png"]) == 0
    back = np.asarray(Image.open("back.png"))
    assert back.shape == values.shape
    assert back.dtype == np.uint16
    capsys.readouterr()
    assert main(["inspect", "photo.quinr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["shape"] == [20, 12, 1]
    assert sum(shown["sections"].values()) == shown["bytes"] == Path("photo.quinr").stat().st_size
    assert main(["inspect", "photo.quinr"]) == 0


def test_an_array_keeps_its_floats():
    values = np.linspace(-3, 7, 48, dtype=np.float32).reshape(6, 8)
    np.save("field.npy", values)
    assert main(["compress", "field.npy", *SMALL_FIT]) == 0
    Path("field.npy").unlink()
    assert main(["decompress", "field.quinr"]) == 0
    back = np.load("field.npy")
    assert back.dtype == np.float32
    assert back.min() >= -3
    assert back.max() <= 7


@pytest.mark.parametrize(("name", "suffix"), [("quinr_rgb8", ".png"), ("coin_array", ".npy")])
def test_the_original_is_not_replaced_unless_asked_to(name, suffix, capsys):
    values = copied(name, "photo.quinr")
    original = Path("photo").with_suffix(suffix)
    original.write_bytes(b"the original")
    assert main(["decompress", "photo.quinr"]) == 2
    (line,) = error_lines(capsys)
    assert f"{original}: exists" in line
    assert "--overwrite" in line
    assert original.read_bytes() == b"the original"
    assert main(["decompress", "photo.quinr", "--overwrite"]) == 0
    assert_decoded(original, values)


def test_the_input_is_never_the_output(capsys):
    copied("quinr_rgb8", "in.png")
    os.symlink("in.png", "link.png")
    os.link("in.png", "hard.png")
    before = Path("in.png").read_bytes()
    for output in ([], ["-o", "in.png"], ["-o", "./link.png"], ["-o", "hard.png"]):
        assert main(["decompress", "in.png", "--overwrite", *output]) == 2
        assert "is the input itself" in error_lines(capsys)[0]
    assert Path("in.png").read_bytes() == before


@pytest.mark.parametrize(
    "output",
    [
        "x.xyz",
        "x.jpg",
        "x",
        "folder",
        "folder/",
        "missing/x.png",
        "photo.quinr/x.png",
        "x\0.png",
        "n" * 300 + ".png",
    ],
)
def test_a_bad_output_is_one_line(output, folder, capsys):
    copied("quinr_rgb8", "photo.quinr")
    Path("folder").mkdir()
    before = sorted(folder.rglob("*"))
    assert main(["decompress", "photo.quinr", "-o", output]) == 2
    (line,) = error_lines(capsys)
    assert repr(output)[1:-1][:20] in line
    assert sorted(folder.rglob("*")) == before


def test_suffixes_that_can_be_written_are_listed(capsys):
    copied("quinr_rgb8", "photo.quinr")
    assert main(["decompress", "photo.quinr", "-o", "back.jpg"]) == 2
    assert ".png or .npy" in error_lines(capsys)[0]
    copied("coin_array", "field.quinr")
    assert main(["decompress", "field.quinr", "-o", "field.png"]) == 2
    (line,) = error_lines(capsys)
    assert "field.png: " in line
    assert ".npy" in line


def test_a_link_is_followed_and_a_device_written_to(capsys):
    values = copied("quinr_rgb8", "photo.quinr")
    os.symlink("real.png", "link.png")
    assert main(["decompress", "photo.quinr", "-o", "link.png"]) == 0
    assert Path("link.png").is_symlink()
    assert_decoded("real.png", values)
    assert main(["decompress", "photo.quinr", "-o", os.devnull]) == 0
    assert not Path(os.devnull).is_file()


def through_standard_streams(command, data, monkeypatch) -> bytes:
    with monkeypatch.context() as patch:
        source, target = io.TextIOWrapper(io.BytesIO(data)), io.TextIOWrapper(io.BytesIO())
        patch.setattr(sys, "stdin", source)
        patch.setattr(sys, "stdout", target)
        assert main(command) == 0
        return target.buffer.getvalue()


def test_standard_input_and_output(monkeypatch):
    for name, chosen in (("quinr_rgb8", "png"), ("coin_array", "npy"), ("quinr_stages_range", "npy")):
        values = np.load(DATA / f"{name}.npy")
        data = (DATA / f"{name}.quinr").read_bytes()
        for command in (["decompress", "-"], ["decompress", "-", "-o", "-", "--format", chosen]):
            written = io.BytesIO(through_standard_streams(command, data, monkeypatch))
            assert_decoded(written, values)
        shown = through_standard_streams(["inspect", "-", "--json"], data, monkeypatch)
        assert json.loads(shown)["bytes"] == len(data)


def test_the_format_that_is_asked_for(monkeypatch):
    values = copied("quinr_rgb8", "photo.quinr")
    assert main(["decompress", "photo.quinr", "--format", "npy"]) == 0
    assert_decoded("photo.npy", values)
    assert main(["decompress", "photo.quinr", "-o", "photo.data", "--format", "png"]) == 0
    assert_decoded("photo.data", values)


def test_a_full_disk_behind_standard_output_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("no device is always full here")
    with open("/dev/full", "wb", buffering=0) as full:
        done = completed([*COMMAND, "decompress", str(DATA / "quinr_rgb8.quinr"), "-o", "-"], stdout=full)
    assert done.returncode == 2
    assert "standard output: cannot write (No space left on device)" in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("command", ["decompress", "inspect"])
@pytest.mark.parametrize(
    "name", ["picture.png", "folder", "", "missing.quinr", "x\0.quinr", "empty.quinr", "-"]
)
def test_an_input_that_is_no_quinr_file_is_one_line(command, name, capsys, folder, monkeypatch):
    Image.new("L", (4, 4)).save("picture.png")
    Path("folder").mkdir()
    Path("empty.quinr").touch()
    monkeypatch.setattr(sys, "stdin", None)
    before = sorted(folder.rglob("*"))
    assert main([command, name]) == 2
    (line,) = error_lines(capsys)
    assert ".quinr" in line.removeprefix(f"quinr-pl: error: {name}")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["quinr_three_stages", "coin_rows_range"])
def test_the_number_of_threads_is_not_seen_in_the_picture(name):
    """Nearly: matrix products of some processors' libraries round by the number of threads."""
    golden = decode((DATA / f"{name}.quinr").read_bytes())
    # Large enough for several blocks and for more than one thread in each.
    spec = replace(golden.spec, shape=(300, 401))
    Path("large.quinr").write_bytes(encode(golden.quantized, spec).data)
    pictures = []
    suffix = spec.kind.suffixes[0]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            assert main(["decompress", "large.quinr", "-o", f"{threads}{suffix}"]) == 0
            pictures.append(read_values(f"{threads}{suffix}"))
    finally:
        torch.set_num_threads(before)
    for other in pictures[1:]:
        np.testing.assert_allclose(
            other, pictures[0], atol=1 if spec.dtype.kind in "iu" else 1e-5 * spec.peak
        )
