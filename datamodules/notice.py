"""What reading a signal changed or left out, said once on stderr."""

from __future__ import annotations

import sys
from functools import cache

from pytorch_lightning.utilities import rank_zero_only


@cache
def notice(line: str) -> None:
    """Say a line unless this process, or another one of the same fit, has said it.

    Args:
        line: Names the file first.
    """
    _print(line)


@rank_zero_only
def _print(line: str) -> None:
    print(line, file=sys.stderr)
