"""`quinr-pl compress` of several inputs into one file of frames, one fit after another."""

from __future__ import annotations

import json
import math
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinr_pl.atomic_file import write_bytes
from quinr_pl.commands.ask import COORDINATES, LATENTS, Ask, OutOfReachError
from quinr_pl.commands.frame_files import frame_files
from quinr_pl.commands.input_file import calling
from quinr_pl.commands.kept_fit import run_kept_work, work_digest
from quinr_pl.commands.kept_run import FINISHED_PART
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.commands.rate import CompressedFile, RatedFit
from quinr_pl.fields import require_at_least
from quinr_pl.fit_status import FitStatus

if TYPE_CHECKING:
    from quinr_pl.codec import DecodedSignal
    from quinr_pl.commands.fit_flags import FitFlags
    from quinr_pl.datamodules import ImageDataModule
    from quinr_pl.signals import ReferenceFrame

USUAL_KEY_DISTANCE = 10
_MOVED_ON = 6.0
"""In dB: with more between what the frame before shows of itself and of the next one, latents begin anew."""
FOLLOWING_SHARE, FOLLOWING_SCAN_SHARE = 0.6, 0.25
"""Bytes of a frame that is told by another at the quality of a key frame, in units of the key frame's; and
those of a scan, of which two of three are told by motion alone."""
_FARTHER = 1.35
"""How much farther off than the last fitted scan one may be by motion alone, where no distance is asked."""
_NEARER = 0.91
"""How much nearer than asked for fitted scans are, so that motion alone suffices for those after them."""
_HEAD_BYTES, _LENGTH_BYTES = 9, 3  # of the file, and of a frame of less than a megabyte
_FIT = "fit"


def compress_frames(options: Namespace, overrides: Sequence[str], ask: Ask, remedy: str) -> int:
    """Compresses inputs into one file, going on where an interrupted command left off.

    Args:
        options: Of the command line.
        overrides: Flags of `fit`.
        ask: What is asked of the file.
        remedy: What to give instead of an input that cannot be read.

    Raises:
        QuinrError: If an input, the output or a setting is wrong, or what is asked for is out of reach.
    """
    with frame_files(options.inputs, remedy) as paths:
        output = _output(options, paths)
        with output.status_elsewhere(), redirect_stdout(sys.stderr) if options.json else nullcontext():
            from quinr_pl.commands.fit_flags import FitFlags

            flags = FitFlags(options.config, overrides)
            job = FramesFit(ask, flags, paths, output.name, options.key_distance)
            beside = output.path if output.is_ordinary else None
            compressed = run_kept_work(job, job.digest(), beside, output.write)
    if options.json:
        print(json.dumps(compressed.figures))
    elif output.standard is None:
        print(output.name)
    return 0


def _output(options: Namespace, paths: Sequence[Path]) -> Output:
    """Where the file goes: to none of the inputs, whether they were named or lie in a folder."""
    first = options.inputs[0]
    name = default_output(first, ".quinr") if options.output is None else options.output
    outputs = [Output(name, given, options.overwrite) for given in (*options.inputs, *map(str, paths))]
    return outputs[0]


@dataclass(frozen=True)
class FramesFit:
    """Inputs that become the frames of one file.

    Args:
        ask: What is asked of the file: a size, or a quality of each frame.
        flags: Of the fits.
        paths: Of the inputs, in order.
        title: What the output is called.
        key_distance: A key frame comes at least every so many frames.
        announces: Whether a line says before the first fit what it will take and come to.
        tell: Told how far the work is.

    Raises:
        QuinrError: If the key distance is not positive.
    """

    ask: Ask
    flags: FitFlags
    paths: Sequence[Path]
    title: str
    key_distance: int
    announces: bool = True
    tell: Callable[[FitStatus], None] | None = None

    def __post_init__(self) -> None:
        require_at_least(1, {"--key-distance": self.key_distance})

    def digest(self) -> str:
        """Names the inputs with one way to compress them."""
        return work_digest(self._fit(0), self.paths, self.key_distance)

    def run(self, folder: Path) -> CompressedFile:
        """Fits frame after frame, each in a folder that is removed once the frame is there.

        Args:
            folder: Holds the frames that are done.

        Raises:
            QuinrError: If an input or a setting is wrong, or what is asked for is out of reach.
        """
        from quinr_pl.codec.file.frame_list import pack_frames

        done: list[_Done] = []
        decoded = _DecodedFrames()
        for number in range(len(self.paths)):
            place = folder / f"{number:06d}{FINISHED_PART}"
            if not place.is_file():
                with calling(self.paths[number], f"frame {number}, {self.paths[number].name}"):
                    write_bytes(place, self._frame(done, decoded, folder).as_bytes())
                shutil.rmtree(folder / _FIT, ignore_errors=True)
            done.append(_Done.of_bytes(place.read_bytes()))
        data = pack_frames([frame.data for frame in done])
        return CompressedFile(data, _figures_of_all(done, len(data)))

    def _frame(self, done: Sequence[_Done], decoded: _DecodedFrames, folder: Path) -> _Done:
        """Fits the frame that comes next."""
        from quinr_pl.commands.fit_flags import read_signal

        number = len(done)
        fit = self._fit(number)
        data = read_signal(fit.settings, fit.path)
        if number == 0:
            self.ask.require_points(data.spec, data.values, data.points, fit.path.name)
        fit = self._following(fit, data, done, decoded)
        points = 0 if data.points is None else len(data.points)
        own = None if self.ask.preset or self.ask.of_nothing else self.ask.size(data.spec, 0, points)
        kept = {"pixels": data.spec.pixels, "own_bytes": own}
        if (moved := self._moved(fit, data, done)) is not None:
            return _Done(moved.data, {**moved.figures, **kept, "by_motion": True})
        if own is not None:
            size = min(self._size(done, own, data.spec.scanner is not None), data.spec.value_bytes)
            fit = replace(fit, ask=fit.ask.for_bytes(size, data.spec.pixels, points))
        elif self.ask.chamfer is not None and len(self.paths) > 1:
            fit = replace(fit, ask=replace(fit.ask, chamfer=_NEARER * self.ask.chamfer))
        try:
            compressed = fit.run(folder / _FIT)
        except OutOfReachError as error:
            share = "" if str(fit.ask) == str(self.ask) else f"{self.ask}, of which it has "
            raise OutOfReachError(f"frame {number}, {fit.path.name}: {share}{error}") from None
        return _Done(compressed.data, {**compressed.figures, **kept, "by_motion": False})

    def _moved(self, fit: RatedFit, data: ImageDataModule, done: Sequence[_Done]) -> CompressedFile | None:
        """The frame that comes next by motion alone; None where it has to be fitted."""
        from quinr_pl.commands.moved_scan import moved_scan

        if fit.after is None or self.ask.psnr is not None:
            return None
        fitted = _last_fitted(done)
        most = self.ask.chamfer or _FARTHER * (fitted.get("chamfer") or 0.0)
        return moved_scan(data, fit.after, most, fitted["lambda"])

    def _fit(self, number: int) -> RatedFit:
        """The fit of a frame that stands for itself."""
        title = f"{self.title}, frame {number}"
        announces = self.announces and number == 0
        return RatedFit(self.ask, self.flags, self.paths[number], title, announces, self._told(number))

    def _told(self, number: int) -> Callable[[FitStatus], None] | None:
        """Tells the share of all frames for that of one."""
        tell = self.tell
        if tell is None:
            return None
        return lambda status: tell(replace(status, share=(number + status.share) / len(self.paths)))

    def _following(
        self, fit: RatedFit, data: ImageDataModule, done: Sequence[_Done], decoded: _DecodedFrames
    ) -> RatedFit:
        """The fit of a frame that is told by the one before, where it can be and none is to stand for itself.

        Args:
            fit: That of a frame that stands for itself.
            data: Its signal.
            done: Frames that are finished.
            decoded: The same, decoded.
        """
        from quinr_pl.callbacks import FollowingFrame
        from quinr_pl.commands.fit_flags import in_flag

        since = self._since_key(done)
        if since >= self.key_distance:
            return fit
        reference = decoded.last(done, since)
        if data.spec.following(reference) is None:
            return fit
        network = reference.quantized.network
        architecture = {
            name: network.architecture()[name] for name in type(network).FIELDS.keys() - {"in_features"}
        }
        flags = [f"--model.network.{name}={in_flag(value)}" for name, value in sorted(architecture.items())]
        # Behind a scan of far more bytes λ would begin so low that steering does not reach the size any more.
        begins_anew = data.spec.scanner is not None and self.ask.of_size
        if (rate_weight := done[-1].figures["lambda"]) is not None and not begins_anew:
            flags.append(f"--model.network.rate_weight={rate_weight}")
        ask = fit.ask
        if not self.flags.configs:
            ask = replace(ask, network=COORDINATES if network.context_shape() is None else LATENTS)
        flags_of_frame = replace(self.flags, overrides=[*self.flags.overrides, *flags])
        after = FollowingFrame.after(reference, anew=decoded.moved_on(data, done[-1].figures["psnr"]))
        return replace(fit, ask=ask, flags=flags_of_frame, after=after)

    def _since_key(self, done: Sequence[_Done]) -> int:
        """How many frames back the last key frame is; the key distance where there is none."""
        backwards = enumerate(reversed(done), 1)
        return next((back for back, frame in backwards if frame.is_key), self.key_distance)

    def _size(self, done: Sequence[_Done], own: int, of_scans: bool) -> int:
        """Bytes that the next frame may have, of those that the frames before have left.

        Args:
            done: The frames before.
            own: What is asked for a frame like the next one; for all of them where it is a size of the file.
            of_scans: Whether frames are scans.
        """
        left = len(self.paths) - len(done)
        total = own if self.ask.most_bytes else own * left + sum(frame.figures["own_bytes"] for frame in done)
        spent = _HEAD_BYTES + sum(len(frame.data) for frame in done) + _LENGTH_BYTES * len(self.paths)
        since = self._since_key(done)
        following = FOLLOWING_SCAN_SHARE if of_scans else FOLLOWING_SHARE
        shares = [1.0 if (since + ahead) % self.key_distance == 0 else following for ahead in range(left)]
        shares[0] = max(shares[0], FOLLOWING_SHARE)  # of one that is fitted
        return max(1, int((total - spent) * shares[0] / sum(shares)))


@dataclass(frozen=True)
class _Done:
    """A frame that is finished: its bytes and figures."""

    data: bytes
    figures: Mapping[str, Any]

    @property
    def is_key(self) -> bool:
        """Whether it stands for itself."""
        from quinr_pl.codec.file.frame_list import is_key_frame

        return is_key_frame(self.data)

    def as_bytes(self) -> bytes:
        """A line of JSON with the figures, then the bytes."""
        return json.dumps(self.figures).encode() + b"\n" + self.data

    @classmethod
    def of_bytes(cls, kept: bytes) -> _Done:
        """What ``as_bytes`` gave."""
        figures, _, data = kept.partition(b"\n")
        return cls(data, json.loads(figures))


class _DecodedFrames:
    """Frames that are finished, each decoded once: when the one after it is begun."""

    def __init__(self) -> None:
        self._count = 0
        self._last: DecodedSignal | None = None

    def last(self, done: Sequence[_Done], since: int) -> ReferenceFrame:
        """The last frame, as the next one is told by it.

        Args:
            done: All frames that are finished.
            since: How many frames back the last key frame is.
        """
        from quinr_pl.codec import UNLIMITED, decode

        for frame in done[max(self._count, len(done) - since) :]:
            before = None if frame.is_key or self._last is None else self._last.as_reference()
            self._last = decode(frame.data, "frames", UNLIMITED, before)
            self._last.settle()
        self._count = len(done)
        assert self._last is not None, "a key frame is the first of all"
        return self._last.as_reference()

    def moved_on(self, data: ImageDataModule, own_psnr: float | None) -> bool:
        """Whether the last frame shows the next one so much worse than itself that its latents do not help.

        Args:
            data: The next frame.
            own_psnr: Of the last frame, in dB; None where it has no error.
        """
        from quinr_pl.evaluation.metrics import psnr

        assert self._last is not None, "the next frame is told by it"
        shown = psnr(data.values, self._last.reconstruct(), data.spec.peak)
        return shown < (math.inf if own_psnr is None else own_psnr) - _MOVED_ON


def _last_fitted(done: Sequence[_Done]) -> Mapping[str, Any]:
    """Figures of the last frame that was fitted, not told by motion."""
    return next(one.figures for one in reversed(done) if not one.figures["by_motion"])


def _figures_of_all(done: Sequence[_Done], size: int) -> dict[str, Any]:
    """Figures of the file: PSNR of all pixels together, means of distances, and those of each frame."""
    figures = [dict(frame.figures) for frame in done]
    pixels = [one.pop("pixels") for one in figures]
    for one in figures:
        del one["own_bytes"]
    errors = [0.0 if one["psnr"] is None else 10 ** (-one["psnr"] / 10) for one in figures]
    error = sum(e * n for e, n in zip(errors, pixels, strict=True)) / sum(pixels)
    return {
        "bytes": size,
        "bpp": 8 * size / sum(pixels),
        "psnr": -10 * math.log10(error) if error > 0 else None,
        "seconds": sum(one["seconds"] for one in figures),
        "frames": figures,
    }
