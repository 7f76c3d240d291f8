"""What is read from the resolved settings of a fit, and settings with something else in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quinr_pl.class_paths import class_path, find_class


def network_class(settings: Mapping[str, Any]) -> type:
    """The class that settings name as the network.

    Raises:
        QuinrError: If it is no network.
    """
    from quinr_pl.network import Network

    return find_class(settings["model"]["network"]["class_path"], Network, "--model.network")


def with_network(settings: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with other arguments of the network."""
    network = settings["model"]["network"]
    network = {**network, "init_args": {**network["init_args"], **arguments}}
    return {**settings, "model": {**settings["model"], "network": network}}


def with_rate_control(settings: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with a RateControl, behind the callback that quantizes, in place of the user's own."""
    from pytorch_lightning.callbacks import Callback

    from quinr_pl.callbacks import RateControl
    from quinr_pl.fitting.quantizers import listed, quantizes

    control = {"class_path": class_path(RateControl), "init_args": dict(asked)}
    callbacks = []
    for callback in listed(settings["trainer"]["callbacks"]):
        cls = find_class(callback["class_path"], Callback, "--trainer.callbacks")
        if not issubclass(cls, RateControl):
            callbacks.append(callback)
        if quantizes(callback["class_path"]):
            callbacks.append(control)
    return {**settings, "trainer": {**settings["trainer"], "callbacks": callbacks}}


def trains_for_quantization(settings: Mapping[str, Any]) -> bool:
    """Whether the WeightQuantization in the settings of a fit trains, and so finds the step sizes itself."""
    from quinr_pl.fitting.quantizers import listed, quantizes

    return any(
        quantizes(callback["class_path"]) and callback["init_args"]["training"] is not None
        for callback in listed(settings["trainer"]["callbacks"])
    )
