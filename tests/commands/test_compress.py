"""`quinr-pl compress`: inputs, outputs and flags."""

from __future__ import annotations

import io
import os
import shlex
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from compressing import (
    SMALL_FIT,
    error_lines,
    kept,
    no_fit,
    write_gray,
)
from PIL import Image
from processes import COMMAND, completed

from quinr_pl.codec import decompress
from quinr_pl.commands.arguments import OneLineArgumentParser, joined_values
from quinr_pl.commands.main import main
from quinr_pl.module import CoordinateNetworkModule

pytestmark = pytest.mark.usefixtures("folder")


def test_an_existing_output_is_replaced_only_when_asked_to(folder, capsys, monkeypatch):
    write_gray("photo.png")
    Path("photo.quinr").write_bytes(b"an earlier file")
    with monkeypatch.context() as patch:
        no_fit(patch)
        for output in ([], ["-o", "photo.quinr"], ["-o", "../here/photo.quinr"]):
            assert main(["compress", "photo.png", *output, *SMALL_FIT]) == 2
            assert "photo.quinr: exists" in error_lines(capsys)[0]
    assert Path("photo.quinr").read_bytes() == b"an earlier file"
    assert main(["compress", "photo.png", "--overwrite", *SMALL_FIT]) == 0
    assert decompress(Path("photo.quinr").read_bytes()).shape == (20, 12, 1)
    assert kept(folder) == []


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link", "other path"])
def test_the_input_is_never_the_output(kind, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_gray("photo.png")
    output = {"itself": "photo.png", "other path": "../here/./photo.png"}.get(kind, "link.quinr")
    if kind == "symbolic link":
        os.symlink("photo.png", output)
    if kind == "hard link":
        os.link("photo.png", output)
    before = Path("photo.png").read_bytes()
    for overwrite in ([], ["--overwrite"]):
        assert main(["compress", "photo.png", "-o", output, *overwrite, *SMALL_FIT]) == 2
        assert "is the input itself" in error_lines(capsys)[0]
    assert Path("photo.png").read_bytes() == before


@pytest.mark.parametrize(
    "output",
    ["folder", "folder/", "new/", "missing/x.quinr", "photo.png/x.quinr", "x\0.quinr", "", "n" * 300],
)
def test_a_bad_output_is_found_before_the_fit(output, folder, capsys, monkeypatch):
    no_fit(monkeypatch)
    write_gray("photo.png")
    Path("folder").mkdir()
    before = sorted(folder.rglob("*"))
    for overwrite in ([], ["--overwrite"]):
        assert main(["compress", "photo.png", "-o", output, *overwrite]) == 2
        (line,) = error_lines(capsys)
        assert repr(output)[1:-1][:20] in line
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", [".", "", "missing.png", "photo.png/x.png", "x\0.png", "empty.png"])
def test_a_bad_input_is_one_line(name, folder, capsys):
    write_gray("photo.png")
    Path("empty.png").touch()
    assert main(["compress", name, "-o", "x.quinr", *SMALL_FIT]) == 2
    assert len(error_lines(capsys)) == 1
    assert not Path("x.quinr").exists()
    assert kept(folder) == []


@pytest.mark.parametrize("name", ["~x.png", "-x.png", "null", "a: {b}.png", "%s.png", "n" * 246 + ".png"])
def test_odd_names(name, capsys):
    values = write_gray(name)
    assert main(["compress", *SMALL_FIT, "-o", "x.quinr", "--", name]) == 0
    assert decompress(Path("x.quinr").read_bytes()).shape == (*values.shape, 1)


def test_names_that_the_terminal_cannot_print(monkeypatch):
    try:
        write_gray("photo.png")
        name = os.fsdecode(b"\xff\xe4.quinr")
        Path(name).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    Path(name).unlink()
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["compress", "photo.png", "-o", name, *SMALL_FIT]) == 0
    assert stream.buffer.getvalue().splitlines()[-1] == rb"\udcff\udce4.quinr"
    assert Path(name).is_file()


def test_links_are_followed_and_pipes_written_to(folder):
    write_gray("photo.png")
    Path("elsewhere").mkdir()
    os.symlink("elsewhere/real.quinr", "link.quinr")
    assert main(["compress", "photo.png", "-o", "link.quinr", *SMALL_FIT]) == 0
    assert Path("link.quinr").is_symlink()
    expected = Path("elsewhere/real.quinr").read_bytes()
    os.mkfifo("pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    assert main(["compress", "photo.png", "-o", "pipe", *SMALL_FIT]) == 0
    reader.join(timeout=10)
    assert received == [expected]
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


class StandardStream:
    """Standard input or output of bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        pass


def test_standard_input_and_output(monkeypatch, capsys):
    values = write_gray("photo.png")
    assert main(["compress", "photo.png", "-o", "named.quinr", *SMALL_FIT]) == 0
    capsys.readouterr()
    np.save("array.npy", values)
    for data in ("photo.png", "array.npy"):
        source, target = StandardStream(Path(data).read_bytes()), StandardStream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", source)
            patch.setattr(sys, "stdout", target)
            assert main(["compress", "-", *SMALL_FIT]) == 0
        assert target.buffer.getvalue() == Path("named.quinr").read_bytes()
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("data", "told"), [(b"neither picture nor array", "damaged"), (b"", "is empty; give")]
)
def test_what_standard_input_holds_is_refused_by_that_name(data, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", StandardStream(data))
    assert main(["compress", "-", "-o", "x.quinr", *SMALL_FIT]) == 2
    (line,) = error_lines(capsys)
    assert f"standard input: {told}" in line
    assert "/input" not in line


def test_no_binary_file_goes_to_a_terminal(monkeypatch, capsys):
    no_fit(monkeypatch)
    write_gray("photo.png")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["compress", "photo.png", "-o", "-"]) == 2
    assert "terminal" in error_lines(capsys)[0]


@pytest.mark.parametrize(
    "flags",
    [
        ["--bpp", "inf"],
        ["--bpp", "nan"],
        ["--bpp", "0"],
        ["--bpp", "-1"],
        ["--psnr", "nan"],
        ["--psnr", "inf"],
        ["--psnr", "-5"],
        ["--psnr", "1000"],
        ["--bpp", "1", "--psnr", "30"],
        ["--bp", "0.1"],
        ["--processes", "2"],
        ["--executor", "ray"],
        ["second.png"],
        ["--trainer.logger", "true"],
        ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "x"],
        ["--trainer.default_root_dir", "x"],
        ["--trainer.enable_checkpointing", "false"],
        ["--trainer.fast_dev_run", "true"],
        ["--trainer.fast_dev_run", "3"],
        ["--trainer.barebones", "true"],
        ["--trainer.max_steps", "0"],
        ["--trainer.max_steps", "-1"],
        ["--key-distance", "-4"],
        ["--data.unit", "1e30"],
        ["--trainer.callbacks", "FitProgress"],
        ["--trainer.callbacks", "null"],
        ["--ckpt_path", "last"],
        ["--data.path", "other.png"],
        ["--data", "SampleDataModule"],
    ],
    ids=" ".join,
)
def test_what_would_end_without_the_file_asked_for_is_refused_before_the_fit(
    flags, folder, capsys, monkeypatch
):
    write_gray("photo.png")
    monkeypatch.setattr(CoordinateNetworkModule, "training_step", None)
    assert main(["compress", "photo.png", *flags]) == 2
    (line,) = error_lines(capsys)
    assert flags[0] in line
    assert [path.name for path in folder.iterdir()] == ["photo.png"]
    assert kept(folder) == []


def test_flags_before_the_input_keep_their_values():
    parser = OneLineArgumentParser("x")
    parser.add_argument("-o", "--output")
    args = [
        "--trainer.max_steps",
        "5",
        "-o",
        "x",
        "--data.fov_down",
        "-25",
        "--a.b=c",
        "photo.png",
        "--",
        "--d",
    ]
    assert joined_values(args, parser) == [
        "--trainer.max_steps=5",
        "-o",
        "x",
        "--data.fov_down=-25",
        "--a.b=c",
        "photo.png",
        "--",
        "--d",
    ]


@pytest.mark.slow
def test_a_picture_goes_through_pipes():
    expected = write_gray("photo.png")
    program = shlex.join(COMMAND)
    flags = shlex.join(SMALL_FIT)
    line = f"cat photo.png | {program} compress - -o - {flags} | {program} decompress - -o - > back.png"
    done = completed(["bash", "-o", "pipefail", "-c", line])
    assert done.returncode == 0, done.stderr
    with Image.open("back.png") as back:
        assert np.asarray(back).shape == expected.shape
