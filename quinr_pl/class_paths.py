"""From a class path, as configs, flags and checkpoints have it, to the class that it names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from quinr_pl.errors import QuinrError
from quinr_pl.spelling import did_you_mean

Class = TypeVar("Class")

_OWN_PACKAGES = ("quinr_pl.network", "quinr_pl.datamodules", "quinr_pl.callbacks")


@cache
def own_classes() -> dict[str, type]:
    """The public networks, data modules and callbacks of this package, by their bare names."""
    modules = [import_module(name) for name in _OWN_PACKAGES]
    found = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type)}


def find_class(path: Any, base: type[Class], where: str) -> type[Class]:
    """The class of a path.

    Args:
        path: An import path such as ``mylab.KodakDataModule``, or a bare name: that of a class of this
            package, or of another subclass of the base that is imported already, as jsonargparse has it.
        base: What the class must be or inherit from.
        where: The key or flag that holds the path, for messages.

    Raises:
        QuinrError: If the path leads to no class, or to one of another kind.
    """
    told = f"{where} {path}"
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
        raise QuinrError(f"{told}: no class path; give one such as mylab.{base.__name__}")
    found = _imported(path, told) if "." in path else _named(path, base, told)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise QuinrError(f"{told}: is no {base.__name__}; give the import path of a subclass")
    return found


def class_path(cls: type) -> str:
    """The path by which ``find_class`` finds a class: the bare name of one of this package's own."""
    return cls.__name__ if own_classes().get(cls.__name__) is cls else f"{cls.__module__}.{cls.__qualname__}"


def same_class(path: str, other: str) -> bool:
    """Whether two paths lead to one class, as ``COIN`` and ``quinr_pl.network.COIN`` do.

    Raises:
        QuinrError: If they differ, and one of them leads to no class.
    """
    return path == other or find_class(path, object, "class_path") is find_class(other, object, "class_path")


def _named(name: str, base: type[Class], told: str) -> Any:
    if name in own_classes():
        return own_classes()[name]
    for subclass in _subclasses(base):
        if subclass.__name__ == name:
            return subclass
    near = did_you_mean(name, [name for name, cls in own_classes().items() if issubclass(cls, base)])
    raise QuinrError(f"{told}: no such class{near or f'; give its import path, such as mylab.{name}'}")


def _subclasses(base: type) -> Iterator[type]:
    if base is not object:
        subclasses: list[type] = base.__subclasses__()
        for subclass in subclasses:
            yield subclass
            yield from _subclasses(subclass)


def _imported(path: str, told: str) -> Any:
    module_name, _, name = path.rpartition(".")
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module raises whatever it raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise QuinrError(
            f"{told}: cannot import {module_name} ({reason}); install it, or put its folder on PYTHONPATH"
        ) from error
    if not hasattr(module, name):
        near = did_you_mean(name, (name for name, value in vars(module).items() if inspect.isclass(value)))
        raise QuinrError(f"{told}: {module_name} has no {name}{near or '; give the path of a class in it'}")
    return getattr(module, name)
