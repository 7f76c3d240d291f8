"""Configs: where they lie, and what is in them.

A config can name any class that is installed, and so run code: one that nobody named is never read. Those
of this package come from the package alone; the current folder is searched only for what a user named.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from quinr_pl.errors import QuinrError

PACKAGED_CONFIGS = Path(str(files("quinr_pl.configs")))
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def packaged_config(name: str) -> Path:
    """A config of this package.

    Raises:
        QuinrError: If there is none of that name.
    """
    if name in (known := sorted(path.name for path in PACKAGED_CONFIGS.glob("*.yaml"))):
        return PACKAGED_CONFIGS / name
    raise QuinrError(f"--config {name}: no such file; the packaged configs are {', '.join(known)}")


def find_config(name: str) -> str:
    """A config that the user named: the path itself if there is one, else the packaged config of that name.

    Raises:
        QuinrError: If there is neither.
    """
    try:
        packaged = Path(name).name == name and (PACKAGED_CONFIGS / name).is_file()
        own = Path(name).exists() and not (packaged and Path(name).is_dir())
    except (OSError, ValueError):  # longer than a name may be, or with a character that none has
        packaged = own = False
    if not own:
        return str(packaged_config(name))
    if Path(name).is_dir():
        raise QuinrError(f"--config {name}: a folder; give a YAML file")
    if packaged:
        print(f"{name}: the file in this folder is read, not the packaged config", file=sys.stderr)
    return name


def find_base(name: str, named_in: str) -> str:
    """A config that another one names: a packaged one knows no other files.

    Raises:
        QuinrError: If there is none.
    """
    packaged = Path(named_in).resolve().parent == PACKAGED_CONFIGS.resolve()
    return str(packaged_config(name)) if packaged else find_config(name)


def read_text(path: str) -> str:
    """Text of a config in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        QuinrError: If it cannot be read, or is in another encoding.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise QuinrError(f"--config {path}: cannot read ({error.strerror}); give a YAML file") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise QuinrError(
            f"--config {path}: not text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error


def read_tree(text: str, name: str) -> dict[str, Any]:
    """A mapping from the text of a YAML file of a name.

    Raises:
        QuinrError: If it is none, or a key comes twice.
    """
    try:
        tree = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # dates that are none, say, are ValueErrors
        raise QuinrError(f"--config {name}: not YAML ({' '.join(str(error).split())})") from error
    except RecursionError as error:
        raise QuinrError(f"--config {name}: nested too deeply; give a config") from error
    if not isinstance(tree, dict):
        what = "it is empty" if tree is None else f"it holds a {type(tree).__name__}"
        raise QuinrError(f"--config {name}: not a mapping of keys to values ({what}); give a YAML config")
    for key in tree:
        if not isinstance(key, str):
            raise QuinrError(
                f"--config {name}: the key {key!r} is no name; give a mapping of names to values"
            )
    return tree


class _Loader(yaml.SafeLoader):
    """Reads 1e-2 as the number that it is in YAML 1.2, and refuses a key that comes twice."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        for mapping in _mappings(node, set()):
            seen: set[str] = set()
            for key, _ in mapping.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value} comes twice, leave one out", key.start_mark
                    )
                seen.add(key.value)
        return node


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _mappings(node: Any, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """All mappings of a document; an anchor's once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for key, value in node.value:
            yield from _mappings(key, seen)
            yield from _mappings(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value, seen)
