"""`quinr-pl compress` of several inputs into one file, and back."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from compressing import QUICK, TINY_LATENT, error_lines, interrupted_at, kept, no_fit
from PIL import Image
from processes import COMMAND, completed

from quinr_pl import compress
from quinr_pl.callbacks import FollowingFrame
from quinr_pl.codec import Frames, decoding, decompress
from quinr_pl.codec.file.frame_list import pack_frames
from quinr_pl.commands.ask import Ask
from quinr_pl.commands.compress_frames import FOLLOWING_SCAN_SHARE, FramesFit, _DecodedFrames
from quinr_pl.commands.fit_flags import FitFlags
from quinr_pl.commands.main import main
from quinr_pl.commands.moved_scan import moved_scan
from quinr_pl.commands.rate import RatedFit
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals.point_distortion import point_figures

pytestmark = pytest.mark.usefixtures("folder")
FIT = ["--config", TINY_LATENT, *QUICK, "--trainer.max_steps", "6"]
NAMES = ["f0.png", "f1.png", "f2.png"]


def write_frames(count: int = 3) -> list[np.ndarray]:
    """A disc that moves."""
    rows, columns = np.mgrid[:20, :26]
    frames = []
    for number in range(count):
        disc = (rows - 10) ** 2 + (columns - 8 - 2 * number) ** 2 < 30
        frames.append(np.rint(255 * (0.3 + 0.5 * disc)).astype(np.uint8))
        Image.fromarray(frames[-1]).save(f"f{number}.png")
    return frames


def test_frames_come_back_in_a_new_process_whole_and_one_by_one(folder):
    write_frames()
    assert main(["compress", *NAMES, "-o", "v.quinr", "--key-distance", "2", *FIT]) == 0
    data = Path("v.quinr").read_bytes()
    frames = Frames(data)
    assert [part.is_key for part in frames.parts] == [True, False, True]
    assert frames.parts[1].size < frames.parts[0].size
    assert kept(folder) == []
    assert completed([*COMMAND, "decompress", "v.quinr", "--out-dir", "back"]).returncode == 0
    values = decompress(data)
    for number, whole in enumerate(values):
        assert np.array_equal(np.asarray(Image.open(f"back/{number:06d}.png")), whole[..., 0])
    assert main(["decompress", "v.quinr", "--frame", "1", "-o", "one.png"]) == 0
    assert np.array_equal(np.asarray(Image.open("one.png")), values[1][..., 0])
    assert main(["decompress", "v.quinr", "-o", "n%02d.npy"]) == 0
    assert np.array_equal(np.load("n02.npy"), values[2][..., 0])
    assert main(["decompress", "v.quinr", "-o", "all.npy"]) == 0
    assert np.array_equal(np.load("all.npy"), np.stack(values)[..., 0])


@pytest.mark.slow
def test_an_interrupted_compress_goes_on_with_the_frames_that_are_there(folder, monkeypatch):
    write_frames(2)
    assert main(["compress", *NAMES[:2], "-o", "whole.quinr", *FIT]) == 0
    command = ["compress", *NAMES[:2], "-o", "again.quinr", *FIT]
    with monkeypatch.context() as patch:
        interrupted_at(9, patch)
        assert main(command) == 130
    assert kept(folder) == [folder / "again.quinr.part"]
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(command) == 0
    assert calls[0] <= 6
    assert Path("again.quinr").read_bytes() == Path("whole.quinr").read_bytes()
    assert kept(folder) == []


def test_each_frame_is_decoded_once_for_those_after_it(monkeypatch):
    write_frames(4)
    names = [*NAMES, "f3.png"]
    told_by = []
    decode = decoding.decode

    def counted(data, name="bytes", limits=None, reference=None):
        if name == "frames":
            told_by.append(reference is not None)
        return decode(data, name, limits, reference)

    monkeypatch.setattr("quinr_pl.codec.decode", counted)
    monkeypatch.setattr("quinr_pl.codec.frames.decode", lambda *_: pytest.fail("a chain is decoded"))
    assert main(["compress", *names, "-o", "v.quinr", "--key-distance", "3", *FIT]) == 0
    assert told_by == [False, True]  # the third frame is followed by a key frame, and the last one by none


def test_of_a_cut_file_the_whole_frames_are_written(capsys):
    write_frames()
    assert main(["compress", *NAMES, "-o", "v.quinr", *FIT]) == 0
    data = Path("v.quinr").read_bytes()
    Path("cut.quinr").write_bytes(data[:-7])
    capsys.readouterr()
    assert main(["decompress", "cut.quinr", "--out-dir", "back"]) == 1
    assert "cut.quinr: cut or damaged: 2 of 3 frames are whole" in capsys.readouterr().err
    assert sorted(path.name for path in Path("back").iterdir()) == ["000000.png", "000001.png"]
    whole = decompress(data)
    assert np.array_equal(np.asarray(Image.open("back/000001.png")), whole[1][..., 0])


def test_a_key_frame_may_have_more_than_its_share(monkeypatch):
    asks = []

    def run(self, folder):
        asks.append(self.ask)
        raise KeyboardInterrupt

    monkeypatch.setattr(RatedFit, "run", run)
    write_frames()
    assert main(["compress", *NAMES, "-o", "v.quinr", "--bpp", "7"]) == 130
    assert asks[0].size(ImageDataModule("f0.png").read().spec, 0, 0) == 20 * 26  # all that it has


def test_a_folder_is_one_file_in_the_order_of_its_numbers(folder):
    Path("frames").mkdir()
    for number, name in enumerate(("a2", "a10", "a9")):
        Image.fromarray(np.full((6 + number, 8), 99, np.uint8)).save(f"frames/{name}.png")
    assert main(["compress", "frames", "-o", "v.quinr", *FIT, "--trainer.max_steps", "1"]) == 0
    frames = Frames(Path("v.quinr").read_bytes())
    assert [frame.spec.shape[0] for frame in frames] == [6, 8, 7]
    assert all(part.is_key for part in frames.parts)  # each of another shape


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["compress", *NAMES[:2], "-o", "v.quinr", "--key-distance", "0"],
            "--key-distance 0: must be at least 1",
        ),
        (["compress", *NAMES[:2], "-o", "f0.png", "--overwrite"], "f0.png: is the input itself"),
        (["compress", *NAMES[:2], "-o", "f1.png", "--overwrite"], "f1.png: is the input itself"),
        (["compress", *NAMES[:2], "-o", "v.quinr", "--trainer.max_stepz", "2"], "max_stepz"),
        (["compress", "f0.png", "gone.png", "-o", "v.quinr"], "gone.png: no such file"),
    ],
)
def test_what_is_wrong_is_found_before_the_work(arguments, told, capsys, monkeypatch):
    write_frames(2)
    no_fit(monkeypatch)
    assert main(arguments) == 2
    (line,) = error_lines(capsys)
    assert told in line


def test_what_cannot_be_decoded_as_asked_is_refused(capsys):
    write_frames(2)
    assert main(["compress", *NAMES[:2], "-o", "v.quinr", *FIT, "--trainer.max_steps", "1"]) == 0
    for flags, told in (
        ([], "holds 2 frames; name a folder by --out-dir"),
        (["-o", "x.png"], "holds 2 frames; name a folder by --out-dir"),
        (["--frame", "2"], "--frame 2: the file has frames 0 to 1"),
        (["--frame", "1", "--out-dir", "back"], "--frame 1: goes without --out-dir"),
    ):
        capsys.readouterr()
        assert main(["decompress", "v.quinr", *flags]) == 2
        (line,) = error_lines(capsys)
        assert told in line


def test_an_array_of_frames_is_a_video():
    values = np.stack(write_frames(3))[..., None].repeat(3, axis=-1)
    np.save("video.npy", values)
    assert main(["compress", "video.npy", *FIT]) == 0
    assert main(["decompress", "video.quinr", "-o", "back.npy"]) == 0
    back = np.load("back.npy")
    assert (back.shape, back.dtype) == (values.shape, values.dtype)
    frames = Frames(Path("video.quinr").read_bytes())
    assert [part.is_key for part in frames.parts] == [True, False, False]


def test_from_python_frames_are_lists():
    frames = write_frames(2)
    shares: list[float] = []
    settings = {"trainer.max_steps": 6}
    arguments = {"config": [TINY_LATENT, QUICK[1]], "settings": settings, "key_distance": 2}
    data = compress(frames, progress=lambda status: shares.append(status.share), **arguments)
    back = decompress(data)
    assert isinstance(back, list)
    assert [values.shape for values in back] == [(20, 26, 1)] * 2
    figures = data.figures["frames"]
    assert sum(one["bytes"] for one in figures) < data.figures["bytes"] == len(data)
    errors = [np.square(a[..., None] - b.astype(float)).mean() for a, b in zip(frames, back, strict=True)]
    assert data.figures["psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean(errors)), abs=1e-6)
    assert shares[-1] == 1.0
    assert compress(["f0.png", "f1.png"], **arguments) == data
    with pytest.raises(QuinrError, match="--key-distance 0"):
        compress(frames, config=TINY_LATENT, key_distance=0)


@pytest.mark.slow
def test_the_bytes_asked_for_are_those_of_the_whole_file(capsys):
    write_frames(2)
    few = ["--trainer.max_steps", "2"]
    assert main(["compress", *NAMES[:2], "-o", "v.quinr", "--bytes", "300", *FIT, *few]) == 0
    frames = Frames(Path("v.quinr").read_bytes())
    assert Path("v.quinr").stat().st_size <= 300
    assert frames.parts[1].size < frames.parts[0].size
    assert main(["compress", *NAMES[:2], "-o", "w.quinr", "--bytes", "50", *FIT, *few]) == 2
    assert re.search(r"frame 0, f0.png: --bytes 50, of which it has --bytes \d+: ", capsys.readouterr().err)
    assert not Path("w.quinr").exists()


def write_scans() -> list[int]:
    """Two scans; gives the numbers of their points."""
    counts = []
    for number in range(2):
        points = street_scan(number, azimuths=200)
        points.tofile(f"{number}.bin")
        counts.append(len(points))
    return counts


def test_scans_come_back_as_points_in_the_frame_of_each():
    write_scans()
    flags = ["--data.width", "64", "--data.gaps", "8", "--trainer.max_steps", "2"]
    assert main(["compress", "0.bin", "1.bin", "-o", "drive.quinr", *FIT, *flags]) == 0
    frames = Frames(Path("drive.quinr").read_bytes())
    assert [part.is_key for part in frames.parts] == [True, False]
    assert frames[0].spec.scanner == frames[1].spec.scanner
    assert frames[1].spec.motion is not None
    assert {"weights", "scanner"}.isdisjoint(frames[1].sections)
    assert main(["decompress", "drive.quinr", "--out-dir", "back", "--format", "npy"]) == 0
    for number, frame in enumerate(frames):
        assert frame.spec.mask is not None
        points = np.load(f"back/{number:06d}.npy")
        assert 0.9 * frame.spec.mask.sum() < len(points) <= frame.spec.mask.sum()  # but for hanging ones
        np.testing.assert_array_equal(points, frame.points())


def test_motion_alone_is_taken_where_it_suffices():
    write_scans()
    flags = ["--data.width", "64", "--trainer.max_steps", "2"]
    assert main(["compress", "0.bin", "-o", "one.quinr", *FIT, *flags]) == 0
    data = ImageDataModule("1.bin", width=64)
    data.setup()
    before = Path("one.quinr")
    after = FollowingFrame("one.quinr")
    assert moved_scan(data, after, 0.0, None) is None
    found = moved_scan(data, after, 100.0, 2e-3)
    assert found is not None
    assert found.figures["lambda"] == 2e-3
    key, frame = Frames(pack_frames([before.read_bytes(), found.data]))
    assert frame.spec.motion is not None
    assert key.sections["latents"] > frame.sections["latents"]
    assert point_figures(data.points, frame.points())["chamfer"] == found.figures["chamfer"]


def test_a_fit_after_a_motion_keeps_the_weights():
    write_scans()
    flags = [*FIT, "--data.width", "64", "--trainer.max_steps", "8"]
    assert main(["compress", "0.bin", "-o", "one.quinr", *flags]) == 0
    after = FollowingFrame("one.quinr", motion=True)
    fit = RatedFit(Ask(), FitFlags([TINY_LATENT], flags[2:]), Path("1.bin"), "1", after=after)
    _, frame = Frames(pack_frames([Path("one.quinr").read_bytes(), fit.run(Path("run")).data]))
    assert frame.spec.motion is not None
    assert "weights" not in frame.sections


@pytest.mark.parametrize(("ask", "kept"), [(Ask(bits_per_point=0.1), False), (Ask(psnr=30.0), True)])
def test_a_scan_of_an_asked_size_does_not_begin_with_the_weight_of_bits_before_it(ask, kept):
    write_scans()
    flags = [*FIT, "--data.width", "64", "--trainer.max_steps", "2"]
    assert main(["compress", "0.bin", "-o", "one.quinr", *flags]) == 0
    data = ImageDataModule("1.bin", width=64)
    data.setup()
    figures = {"lambda": 2e-3, "psnr": 20.0, "by_motion": False}
    done = [SimpleNamespace(data=Path("one.quinr").read_bytes(), figures=figures, is_key=True)]
    job = FramesFit(ask, FitFlags([], []), [Path("0.bin"), Path("1.bin")], "drive", 10)
    following = job._following(job._fit(1), data, done, _DecodedFrames())
    assert following.after is not None
    assert ("--model.network.rate_weight=0.002" in following.flags.overrides) == kept


def test_the_bits_of_a_point_are_shared_out_among_the_frames(monkeypatch):
    given = []

    def fit(settings, folder, **names):
        given.append(settings)
        raise KeyboardInterrupt

    counts = write_scans()
    monkeypatch.setattr("quinr_pl.fitting.fit", fit)
    flags = ["-o", "drive.quinr", "--bits-per-point", "2", "--network", "latents"]
    assert main(["compress", "0.bin", "1.bin", *flags]) == 130
    (control,) = (c for c in given[0]["trainer"]["callbacks"] if c["class_path"].endswith("RateControl"))
    of_both = 2 * 2 * counts[0] / 8
    assert control["init_args"]["most_bytes"] == pytest.approx(of_both / (1 + FOLLOWING_SCAN_SHARE), abs=20)
    assert given[0]["data"]["init_args"]["gaps"] == 8
