"""One fit from a config to a file: what compress, compare and search do many times."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning.callbacks import Callback

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.callbacks import PSNRCheckpoint
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.checkpoints import readable_checkpoint
from quinr_pl.fitting.cli import QuinrCLI
from quinr_pl.signals.kinds import figures_of_kinds

CONFIG = "fit.yaml"
_RESULT = "result.json"


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves.

    Attributes:
        path: The ``.quinr`` file.
        psnr: Of the decoded file against the signal, in dB.
        bpp: Bits of the file for each pixel.
        bytes: Size of the file.
        parameters: Weights that it holds.
        method: Class of the network.
        rate_weight: λ at the end of the fit; 0 of a network that does not weigh its rate.
        encode_seconds: From the first step to the file, over all parts of an interrupted fit.
        decode_seconds: From the file to the signal.
        versions: Of what computed the figures, by package.
        measured: What the signal's kind measures beyond: of a scan ``bits_per_point`` and ``chamfer``, of
            audio ``snr`` and ``kbit_per_second``, and so on.
    """

    path: Path
    psnr: float
    bpp: float
    bytes: int
    parameters: int
    method: str
    rate_weight: float
    encode_seconds: float
    decode_seconds: float
    versions: Mapping[str, str]
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def chamfer(self) -> float | None:
        """Symmetric Chamfer distance of the decoded points in metres; None where there are none."""
        return self.measured.get("chamfer")


def fit(
    config: Mapping[str, Any],
    folder: Path | str,
    *,
    name: str | None = None,
    title: str | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Fit a network to a signal and write the file of its best state.

    The same call goes on where an earlier one in its folder was interrupted, and ends in the same file. A
    folder that holds a finished fit is not fitted again.

    Args:
        config: As a YAML config of `quinr-pl fit` has it: ``model``, ``data`` and ``trainer``, over the
            defaults of ``defaults.yaml``. Loggers are left out.
        folder: Where the run lies.
        name: Stem of the files that it leaves; the signal's name when left out.
        title: What messages call the file; its path when left out.
        callbacks: Further ones, live, after those of the config.

    Raises:
        QuinrError: If a setting or the signal is wrong, or the fit would leave no file.
    """
    folder = Path(folder).absolute()
    finished = _finished(folder)
    if finished is not None:
        return finished
    make_folder(folder)
    complete = dict(config)
    checkpoint = readable_checkpoint(folder)
    complete["trainer"] = {
        **(complete.get("trainer") or {}),
        "logger": False,
        "default_root_dir": str(folder),
    }
    complete["ckpt_path"] = checkpoint
    if checkpoint is not None:
        print(f"{title or folder}: goes on where it was interrupted", file=sys.stderr)
    path = folder / CONFIG
    write_bytes(path, yaml.safe_dump(complete, sort_keys=False).encode())
    with _silent_about(folder):
        _RunCLI(["fit", f"--config={path}"], name, title, callbacks)
    finished = _finished(folder)
    if finished is None:
        raise QuinrError(
            f"{title or folder}: the fit left no file; see what its flags and callbacks do by quinr-pl fit"
        )
    return finished


def _finished(folder: Path) -> FitResult | None:
    """What a finished fit left in its folder."""
    try:
        figures = {"rate_weight": 0.0, **json.loads((folder / _RESULT).read_text())}
        path = folder / f"{figures['image']}.quinr"
        figures["measured"] = {name: figures[name] for name in figures_of_kinds() if name in figures}
        kept = {key: figures[key] for key in FitResult.__dataclass_fields__ if key != "path"}
    except (OSError, ValueError, KeyError, TypeError):  # not there, cut, or of another program
        return None
    return FitResult(path, **kept) if path.is_file() else None


class _RunCLI(QuinrCLI):
    """A fit in a folder of its own, whose callbacks speak of the file that the user knows."""

    def __init__(
        self, args: list[str], name: str | None, title: str | None, callbacks: Sequence[Callback]
    ) -> None:
        self._name, self._title, self._further = name, title, callbacks
        super().__init__(args)

    def before_instantiate_classes(self) -> None:
        """Leaves out Lightning's copy of the config: ``fit.yaml`` says the same."""
        super().before_instantiate_classes()
        self.save_config_callback = None
        self.trainer_defaults["callbacks"] = list(self._further)

    def after_instantiate_classes(self) -> None:
        """Refuses more processes, which would all be this program, and names the files."""
        if self.trainer.world_size > 1:
            raise QuinrError(
                f"--trainer.devices {self.trainer.num_devices}: this fit has one process; use quinr-pl fit"
            )
        if self._name is not None:
            self.datamodule.name = self._name
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, PSNRCheckpoint):
                callback.title = self._title
                callback.continued_by = "the same command"


@contextmanager
def _silent_about(folder: Path) -> Iterator[None]:
    """Keeps Lightning from naming a folder that may be gone when the user looks for it."""
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")

    def says_other(record: logging.LogRecord) -> bool:
        return str(folder) not in record.getMessage()

    logger.addFilter(says_other)
    try:
        yield
    finally:
        logger.removeFilter(says_other)
