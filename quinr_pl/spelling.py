"""What a mistyped word was likely meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Asks for the nearest of the known words, after a semicolon; nothing if none is near."""
    words = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), words, 1)
    return f"; did you mean {words[near[0]]}?" if near else ""
