"""`quinr-pl decompress`: a `.quinr` file in; pictures, arrays or points out."""

from __future__ import annotations

import re
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from quinr_pl.atomic_file import make_folder
from quinr_pl.commands.arguments import OneLineArgumentParser, add_limits
from quinr_pl.commands.input_file import calling, read_file, shown
from quinr_pl.commands.libraries import import_away_from_the_current_folder
from quinr_pl.commands.output_file import Output, default_output
from quinr_pl.errors import QuinrError
from quinr_pl.suffixes import suffix_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from quinr_pl.circuit.engines.protocol import Engine
    from quinr_pl.codec import DecodedSignal, Frames
    from quinr_pl.signals import SignalSpec

_NUMBER = re.compile(r"%0?\d*d")
_USUAL_NAME = "%06d"


def decompress(args: list[str]) -> int:
    """Decodes a file to a picture, an array or points, or each of its frames to one.

    Returns:
        Exit status: 0, or 1 if frames are missing at the end of the file.
    """
    options = _arguments(args)
    pattern = _pattern(options)
    output = None
    if options.output is not None and pattern is None:
        output = Output(options.output, options.input, options.overwrite)
    chosen = _chosen_suffix(options.format, pattern, output)

    from quinr_pl.codec import DecodeLimits, Frames

    decoding = _Decoding(options)
    limits = DecodeLimits().scaled(options.limits)
    frames = Frames(read_file(options.input, limits.file_bytes), shown(options.input), limits)
    if frames.missing is not None:
        print(f"quinr-pl: {frames.missing}", file=sys.stderr)
    if pattern is not None:
        decoding.write_each(frames, pattern, chosen)
    elif frames.several and options.frame is None:
        decoding.write_together(frames, output, chosen)
    else:
        decoding.write(_frame(frames, options.frame or 0), output, chosen)
    decoding.report()
    return 0 if frames.missing is None else 1


def _arguments(args: list[str]) -> Namespace:
    parser = OneLineArgumentParser(
        "quinr-pl decompress",
        description="Decode a .quinr file.",
        epilog="example: quinr-pl decompress photo.quinr -o back.png",
    )
    parser.add_argument("input", help=".quinr file; - for standard input")
    parser.add_argument(
        "-o",
        "--output",
        help=".png, or .npy to keep floats; .wav or .flac; .nii or .nii.gz; of a scan .ply, .pcd, .bin or "
        ".npy for its points; - for standard output (default: the input's name with .png for images, .wav "
        "for audio, .nii.gz for volumes from NIfTI and .npy for the rest); of several frames one name with a "
        "number, such as scan-%%06d.ply, or .npy for all in one array",
    )
    parser.add_argument("--out-dir", metavar="FOLDER", help="of a file for each frame, 000000 and so on")
    parser.add_argument("--frame", type=int, metavar="N", help="only this one of several frames, from 0")
    parser.add_argument(
        "--format",
        metavar="png|npy|wav|flac|nii.gz|nii|ply|pcd|bin",
        help="of the output, where its suffix does not say (default: as above)",
    )
    parser.add_argument(
        "--range-image",
        action="store_true",
        help="of a scan, its picture of metres (.npy, .png) and not its points",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "--engine",
        help="what runs the circuits, such as shots=1000,seed=0, instead of exactly (docs/engines.md)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        metavar="cpu|cuda|cuda:N|auto",
        help="what computes the pixels; auto: a GPU where there is one (default: cpu, which has decoded most "
        "files before torch and a GPU have started; docs/gpu.md)",
    )
    add_limits(parser)
    return parser.parse_args(args)


def _pattern(options: Namespace) -> Path | None:
    """The path of all frames, with a place for the number; None where one output is named, or none."""
    if options.out_dir is not None:
        for flag, value in (("output", options.output), ("frame", options.frame)):
            if value is not None:
                raise QuinrError(f"--{flag} {value}: goes without --out-dir, which is for all frames")
        return Path(options.out_dir, _USUAL_NAME)
    if options.output is None or not _NUMBER.search(Path(options.output).name):
        return None
    return None if options.frame is not None else Path(options.output)


def _chosen_suffix(chosen: str | None, pattern: Path | None, output: Output | None) -> str | None:
    """The suffix that ``--format`` or the output's name says; None where neither does."""
    from quinr_pl.signals.files import written_suffixes

    accepted = written_suffixes()
    if chosen is not None:
        if f".{chosen}" not in accepted:
            formats = ", ".join(suffix.removeprefix(".") for suffix in accepted)
            raise QuinrError(f"--format {chosen}: choose from {formats}")
        return f".{chosen}"
    if pattern is None and output is None:
        return None
    path = pattern or output.path  # type: ignore[union-attr]
    suffix = suffix_of(path).lower()
    if suffix in accepted:
        return suffix
    if path.name == _USUAL_NAME or (output is not None and not output.is_ordinary):
        return None
    given = suffix or "a name without a suffix"
    raise QuinrError(f"--output {path}: signals are written as {' or '.join(accepted)}, not as {given}")


def _frame(frames: Frames, number: int) -> DecodedSignal:
    if not 0 <= number < len(frames):
        raise QuinrError(f"--frame {number}: the file has frames 0 to {len(frames) - 1}")
    return frames[number]


class _Decoding:
    """Writes what is decoded as the command line says.

    Args:
        options: Of the command line.

    Raises:
        QuinrError: If there is no such device.
    """

    def __init__(self, options: Namespace) -> None:
        from quinr_pl.codec.devices import find_device

        self._options = options
        self._device = find_device(options.device)
        self._engine: Engine | None = None

    def write(self, decoded: DecodedSignal, output: Output | None, chosen: str | None) -> None:
        """Writes one signal, beside the input where no output is named.

        Args:
            decoded: The signal.
            output: Where.
            chosen: Its suffix; the usual one of the signal if None.
        """
        from quinr_pl.signals.files import usual_suffix

        chosen = chosen or usual_suffix(decoded.spec, self._scanned(decoded.spec))
        if output is None:
            name = default_output(self._options.input, chosen)
            output = Output(name, self._options.input, self._options.overwrite)
        self._write(decoded, output, chosen)
        if output.standard is None:
            print(output.name)

    def write_each(self, frames: Frames, pattern: Path, chosen: str | None) -> None:
        """Writes each frame to a file of its own.

        Args:
            frames: Of the file.
            pattern: Path of all, with a place for the number.
            chosen: Their suffix; the usual one of the first frame if None.
        """
        from quinr_pl.signals.files import usual_suffix

        first = frames[0].spec
        chosen = chosen or usual_suffix(first, self._scanned(first))
        if suffix_of(pattern).lower() != chosen:
            pattern = pattern.with_name(pattern.name + chosen)
        if self._options.out_dir is not None:
            make_folder(pattern.parent)
        names = [str(pattern.with_name(pattern.name % number)) for number in range(len(frames))]
        outputs = [Output(name, self._options.input, self._options.overwrite) for name in names]
        for decoded, output in zip(frames, outputs, strict=True):
            self._write(decoded, output, chosen)
            print(output.name)

    def write_together(self, frames: Frames, output: Output | None, chosen: str | None) -> None:
        """Writes the pixels of all frames as one array, (frames, *shape, channels).

        Raises:
            QuinrError: If the output is no array of pixels, or the frames are not alike.
        """
        import numpy as np

        scanned = self._scanned(frames[0].spec)
        if output is None or chosen != ".npy" or scanned:
            what = "scan-%06d.ply" if scanned else "frame-%06d.png"
            together = "" if scanned else ", or all by -o NAME.npy"
            raise QuinrError(
                f"{shown(self._options.input)}: holds {len(frames)} frames; name a folder by --out-dir, "
                f"files by -o {what}, or one of them by --frame{together}"
            )
        values: list[npt.NDArray] = [self._computed(decoded).reconstruct() for decoded in frames]
        if len({(array.shape, array.dtype) for array in values}) > 1:
            raise QuinrError(f"{output.name}: frames of several shapes; name a folder by --out-dir")
        with tempfile.TemporaryFile() as file:
            stacked = np.stack(values)
            np.save(file, stacked[..., 0] if stacked.shape[-1] == 1 else stacked)
            file.seek(0)
            output.write(file.read())
        if output.standard is None:
            print(output.name)

    def report(self) -> None:
        """Says what the engine has run, where it counts that."""
        if self._engine is not None and (report := self._engine.report()):
            print(report, file=sys.stderr)

    def _scanned(self, spec: SignalSpec) -> bool:
        """Whether points are wanted of a signal."""
        return spec.scanner is not None and not self._options.range_image

    def _computed(self, decoded: DecodedSignal) -> DecodedSignal:
        """With values of the engine and the device that are asked for."""
        if self._options.engine is None:
            from quinr_pl.codec.frames import computed_on

            return computed_on(decoded, self._device)
        import_away_from_the_current_folder()
        from quinr_pl.codec.circuits import with_engine

        engine = self._engine or self._options.engine
        decoded, self._engine = with_engine(decoded, engine, self._device)
        return decoded

    def _write(self, decoded: DecodedSignal, output: Output, chosen: str) -> None:
        from quinr_pl.native.threads import native_threads
        from quinr_pl.signals.files import check_written, holds_points, write_signal, write_signal_points

        decoded = self._computed(decoded)
        with tempfile.TemporaryDirectory() as folder:
            aside = Path(folder, f"signal{chosen}")
            as_points = self._scanned(decoded.spec) and holds_points(decoded.spec, aside)
            with calling(aside, output.name):
                if not as_points:
                    check_written(decoded.spec, aside)
                with native_threads():
                    values = decoded.reconstruct()
                write = write_signal_points if as_points else write_signal
                write(values, decoded.spec, aside)
            output.write(aside.read_bytes())
