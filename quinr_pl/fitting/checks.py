"""Settings of a trainer with which a fit cannot end well, refused before it starts."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks import (
    LightningParity,
    NetworkLogger,
    PSNRCheckpoint,
    ReconstructionLogger,
    ReconstructionWriter,
    WeightQuantization,
)
from quinr_pl.class_paths import find_class
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.quantizers import listed

_NEEDED = (WeightQuantization, PSNRCheckpoint)
_LEAVE_SOMETHING = (
    LightningParity,
    NetworkLogger,
    PSNRCheckpoint,
    ReconstructionLogger,
    ReconstructionWriter,
)


def check_length(trainer: Any) -> None:
    """Looks at how long the parsed arguments of a trainer let a fit be.

    Raises:
        QuinrError: If it would take no step.
    """
    for flag in ("max_steps", "max_epochs", "limit_train_batches"):
        if trainer.get(flag) == 0:
            raise QuinrError(f"--trainer.{flag} 0: a fit takes at least one step; give more")


def check_fit(trainer: Any) -> None:
    """Looks at the parsed arguments of a fit's trainer.

    A ``fast_dev_run`` tries the code and leaves nothing: it loses the callbacks that make the file.

    Raises:
        QuinrError: If the fit would take no step or make no file.
    """
    check_length(trainer)
    if trainer.get("overfit_batches"):
        raise QuinrError(
            f"--trainer.overfit_batches {trainer.overfit_batches}: a fit is of one signal as a whole; leave "
            "it out, or give a smaller signal"
        )
    callbacks = listed(trainer.get("callbacks"))
    classes = [find_class(callback.class_path, Callback, "--trainer.callbacks") for callback in callbacks]
    if trainer.get("fast_dev_run"):
        trainer.callbacks = [
            callback
            for cls, callback in zip(classes, callbacks, strict=True)
            if not issubclass(cls, _LEAVE_SOMETHING)
        ]
        return
    for needed in _NEEDED:
        if not any(issubclass(cls, needed) for cls in classes):
            raise QuinrError(
                f"--trainer.callbacks: without {needed.__name__} no file is made; keep the callbacks of "
                "defaults.yaml and add to them with --trainer.callbacks+=NAME"
            )
    if trainer.get("enable_checkpointing") is False:
        raise QuinrError(
            "--trainer.enable_checkpointing false: the file comes from the best checkpoint; leave it out"
        )
