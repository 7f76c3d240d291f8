"""Ways of rounding by the name that configs call them, and from a config's mapping to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, get_args, get_origin, get_type_hints

from quinr_pl.class_paths import find_class
from quinr_pl.codec.rounding.protocol import Rounding
from quinr_pl.errors import QuinrError
from quinr_pl.registry import Registry

ROUNDINGS: Registry[str, type[Rounding]] = Registry(
    "quantization method",
    "quinr_pl.roundings",
    {
        "nearest": "quinr_pl.codec.rounding.nearest:Nearest",
        "compensated": "quinr_pl.codec.rounding.compensated:Compensated",
        "gptq": "quinr_pl.codec.rounding.compensated:Compensated",
        "stepwise": "quinr_pl.codec.rounding.stepwise:Stepwise",
        "incremental": "quinr_pl.codec.rounding.stepwise:Stepwise",
        "searched": "quinr_pl.codec.rounding.searched:Searched",
        "rdoq": "quinr_pl.codec.rounding.searched:Searched",
    },
)
"""A line for each name. Another package's ways come by entry points of this group, or by ``register``."""

_ONCE_SHARED = {"bits", "bits_by_tensor", "step_sizes", "rate", "points", "damping", "seed"}
_ONCE_SHARED |= {"retraining_steps", "retraining_learning_rate"}
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def rounding_of(options: Rounding | Mapping[str, Any], where: str = "quantization") -> Rounding:
    """The way of rounding that a config describes.

    Args:
        options: ``{"method": NAME, OPTION: VALUE, ...}`` with a name of the table, or a class's import path;
            what is a Rounding already stays as it is.
        where: The key or flag that holds them, for messages.

    Raises:
        QuinrError: If the method is missing or unknown, or an option is not its own or out of range.
    """
    if isinstance(options, Rounding):
        return options
    given = dict(options)
    name = given.pop("method", None)
    if not isinstance(name, str):
        raise QuinrError(
            f"{where} {dict(options)}: give {{method: NAME, OPTION: VALUE}} with a method of "
            f"{', '.join(ROUNDINGS)}"
        )
    cls = find_class(name, Rounding, f"{where}.method") if "." in name else ROUNDINGS[name]
    kinds = _options(cls)
    if given.keys() >= _ONCE_SHARED:
        # The config.yaml of older runs lists the options of all methods.
        given = {option: value for option, value in given.items() if option in kinds}
    for option, value in given.items():
        if option not in kinds:
            raise QuinrError(f"{where}.{option} {value}: {_not_an_option(option, name, kinds)}")
        given[option] = _typed(f"{where}.{option}", value, kinds[option])
    try:
        return cls(**given)
    except QuinrError as error:
        raise QuinrError(f"{where}.{error}") from None


def as_options(rounding: Rounding) -> dict[str, Any]:
    """The mapping of which ``rounding_of`` makes a way of rounding again: its method and all its options."""
    return {"method": rounding.method, **asdict(rounding)}


def _options(cls: type[Rounding]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls) if field.init}


def _not_an_option(option: str, method: str, own: Mapping[str, Any]) -> str:
    takes = f"{method} takes {', '.join(own) or 'no options'}"
    others = {cls.method: None for cls in (ROUNDINGS[name] for name in ROUNDINGS) if option in _options(cls)}
    if not others:
        return f"no such option; {takes}"
    return f"an option of {' and '.join(others)}, and {takes}; leave it out or choose another method"


def _typed(where: str, value: Any, kind: Any) -> Any:
    """A value of an option, if it is of the option's kind; kinds beyond the plain ones check themselves."""
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise QuinrError(f"{where} {value!r}: must be a mapping of names to values")
        return {key: _typed(f"{where}.{key}", item, get_args(kind)[1]) for key, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if kind in _PLAIN and type(value) is not kind:
        raise QuinrError(f"{where} {value!r}: must be {_PLAIN[kind]}")
    return value
