"""The two ways in which a config says how a fit's file is quantized, made one.

The key ``quantization`` sets ``final`` of the WeightQuantization among the callbacks. A config may write out
the callbacks instead. Of several configs the last one that says either counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks import WeightQuantization
from quinr_pl.class_paths import find_class
from quinr_pl.codec.rounding import rounding_of

KEY = "quantization"


def listed(value: Any) -> list[Any]:
    """The value of a key that takes one, a list or none, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def overrides_key(config: Mapping[str, Any]) -> bool:
    """Whether a config writes out a quantizer, so that the key of the configs before it no longer counts."""
    callbacks = listed((config.get("trainer") or {}).get("callbacks"))
    paths = [callback["class_path"] if isinstance(callback, Mapping) else callback for callback in callbacks]
    return KEY not in config and any(map(quantizes, paths))


def set_final_quantization(config: Namespace) -> None:
    """Lets the callback that quantizes know what the key says.

    Args:
        config: Parsed config of a command; its callback is changed.

    Raises:
        QuinrError: If there is no such method or option.
    """
    if config.get(KEY) is None:
        return
    rounding_of(config[KEY], f"--{KEY}")  # refused by the name of the key
    for callback in listed(config.trainer.get("callbacks")):
        if quantizes(callback.class_path):
            callback.init_args.final = config[KEY]


def quantizes(path: Any) -> bool:
    """Whether the class path of a callback leads to a WeightQuantization."""
    return issubclass(find_class(path, Callback, "trainer.callbacks"), WeightQuantization)
