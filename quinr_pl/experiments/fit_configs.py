"""Configs of fits: read with their defaults, and the data, network and callbacks that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.callbacks import Callback

from quinr_pl import callbacks
from quinr_pl.class_paths import find_class
from quinr_pl.configs.find import packaged_config, read_text, read_tree
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.trees import Tree, merge
from quinr_pl.fitting.quantizers import KEY, listed, overrides_key
from quinr_pl.network import Network

# A fit among many needs no pictures and no parity check, which leave its file as it is.
_ONLY_SHOWING = (
    callbacks.BitrateMonitor,
    callbacks.FitProgress,
    callbacks.LightningParity,
    callbacks.NetworkLogger,
    callbacks.ReconstructionLogger,
    callbacks.ReconstructionWriter,
)


def read_fit_config(path: str) -> dict[str, Any]:
    """A config of `quinr-pl fit`, over the defaults.

    Raises:
        QuinrError: If it is none.
    """
    defaults = str(packaged_config("defaults.yaml"))
    return merge_fits(read_tree(read_text(defaults), "defaults.yaml"), read_tree(read_text(path), path))


def merge_fits(base: Tree, change: Tree) -> dict[str, Any]:
    """A config of a fit with changes to it, as `quinr-pl fit` lays one config over another.

    Raises:
        QuinrError: If a class path leads to no class.
    """
    kept = {key: value for key, value in base.items() if key != KEY} if overrides_key(change) else base
    return merge(kept, change)


def file_making_callbacks(fit: Tree) -> list[Tree]:
    """Those callbacks of a fit's config that its file depends on."""
    given = listed(fit.get("trainer", {}).get("callbacks"))
    classes = [find_class(callback["class_path"], Callback, "trainer.callbacks") for callback in given]
    return [
        callback for callback, cls in zip(given, classes, strict=True) if not issubclass(cls, _ONLY_SHOWING)
    ]


def data_module_of(data: Tree | CoordinateDataModule) -> CoordinateDataModule:
    """The data module that ``data`` of a fit's config describes, without its signal.

    Args:
        data: Class path and arguments; or the module itself, of which the parser of `quinr-pl fit` makes what
            the arguments of a data module in another one's arguments describe.

    Raises:
        QuinrError: If there is no such class, or it refuses its arguments.
    """
    if isinstance(data, CoordinateDataModule):
        return data
    cls: Any = find_class(data["class_path"], CoordinateDataModule, "data.class_path")
    try:
        module: CoordinateDataModule = cls(**data.get("init_args", {}))
    except TypeError as error:
        raise QuinrError(f"data {data['class_path']}: {error}") from error
    return module


def network_of(fit: Tree) -> Network:
    """The network of a fit's config, untrained, as the fit makes it for its signal.

    Raises:
        QuinrError: If there is no such class or no such signal, or a class refuses its arguments.
    """
    data = data_module_of(fit["data"])
    data.prepare_data()
    data.setup()
    return _built(fit, network_class(fit).signal_arguments(data.spec))


def untrained_network(fit: Tree, channels: int, axes: int = 2) -> Network:
    """The network of a fit's config for a signal of which only the numbers of channels and axes are known.

    Raises:
        QuinrError: If there is no such class, or it refuses its arguments.
    """
    return _built(fit, {"in_features": axes, "out_features": channels})


def _built(fit: Tree, of_signal: Mapping[str, int]) -> Network:
    cls: Any = network_class(fit)
    network: Network = cls(**{**fit["model"]["network"].get("init_args", {}), **of_signal})
    return network


def network_class(fit: Tree) -> type[Network]:
    """The class of the network of a fit's config.

    Raises:
        QuinrError: If there is no such class.
    """
    return find_class(fit["model"]["network"]["class_path"], Network, "model.network.class_path")
