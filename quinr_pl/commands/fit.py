"""`quinr-pl fit`, `validate`, `test` and `predict`: the methods of Lightning's trainer."""

from __future__ import annotations


def lightning(args: list[str]) -> int:
    """Runs a method of the trainer.

    Args:
        args: Its name and its flags.
    """
    from quinr_pl.fitting.cli import QuinrCLI

    QuinrCLI(args)
    return 0
