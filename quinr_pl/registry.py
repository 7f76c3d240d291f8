"""Tables of what there is of a kind: networks, engines, sections, ways of rounding, kinds of signal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from itertools import chain
from typing import Any, Generic, TypeVar

from quinr_pl.errors import QuinrError

Key = TypeVar("Key", str, int)
Entry = TypeVar("Entry")


class Registry(Generic[Key, Entry]):
    """Entries by key: this package's own, those of installed packages, and those registered at run time.

    An installed package offers an entry as an entry point of the group, named by the key's text. An entry is
    imported when its key is asked for, so that a table imports none of them when it is made.

    Args:
        what: What an entry is, for messages.
        group: Group of entry points.
        own: Entries of this package, each as ``"module:attribute"``.
    """

    def __init__(self, what: str, group: str, own: Mapping[Key, str]) -> None:
        self.what, self.group = what, group
        self._paths: dict[Key, str] = dict(own)
        self._loaded: dict[Key, Entry] = {}

    def register(self, key: Key, entry: Entry) -> Entry:
        """Add an entry of this process.

        Returns:
            The entry.

        Raises:
            QuinrError: If the key is taken by another one.
        """
        if key in self._paths or self._loaded.get(key, entry) is not entry:
            raise QuinrError(f"{self.what} {key}: there is one already; choose another key")
        self._loaded[key] = entry
        return entry

    def find(self, key: Key) -> Entry | None:
        """The entry of a key, None if there is none."""
        if key not in self._loaded:
            path = self._paths.get(key) or self._installed.get(key)
            if path is None:
                return None
            module, _, attribute = path.partition(":")
            found: Any = getattr(import_module(module), attribute)
            self._loaded[key] = found
        return self._loaded[key]

    def __getitem__(self, key: Key) -> Entry:
        entry = self.find(key)
        if entry is None:
            raise QuinrError(f"{self.what} {key}: choose from {', '.join(map(str, self))}")
        return entry

    def __contains__(self, key: object) -> bool:
        return key in list(self)

    def __iter__(self) -> Iterator[Key]:
        """Keys of this package's entries, then of those that are registered, then of installed packages'."""
        return iter(dict.fromkeys(chain(self._paths, self._loaded, self._installed)))

    @cached_property
    def _installed(self) -> dict[Key, str]:
        # Files hold numbers, and entry points have names.
        key_type = type(next(iter(self._paths)))
        installed = {}
        for point in entry_points(group=self.group):
            try:
                installed[key_type(point.name)] = point.value
            except ValueError:
                raise QuinrError(
                    f"{self.what} {point.name}: an installed package names it so in {self.group}, which "
                    "needs a number"
                ) from None
        return installed
