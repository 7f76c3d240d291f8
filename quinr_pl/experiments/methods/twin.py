"""SIREN networks of as many parameters as another method's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quinr_pl.experiments.fit_configs import data_module_of, merge_fits, untrained_network
from quinr_pl.experiments.methods.fit import Fit, fit_settings
from quinr_pl.experiments.trees import Tree, merge
from quinr_pl.network import COIN

_WIDEST = 512


class Twin(Fit):
    """The points of the method ``of``, each with the SIREN of ``layers`` that has as many parameters."""

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        signal = data_module_of(data)
        channels, axes = signal.channels, signal.axes
        originals = super().points(methods[description["of"]], methods, data)
        points = {}
        for point, settings in originals.items():
            parameters = untrained_network(settings["fit"], channels, axes).parameter_count()
            siren = nearest_siren(parameters, channels, description["layers"], axes)
            arguments = {"layers": len(siren.hidden), "width": siren.output.in_features}
            network = {"class_path": "quinr_pl.network.COIN", "init_args": arguments}
            tree = merge(settings["fit"], {"model": {"network": network}})
            points[point] = fit_settings(merge_fits(tree, description.get("fit", {})), channels, axes)
        return points


def nearest_siren(parameters: int, channels: int, layers: int, axes: int = 2) -> COIN:
    """The SIREN of so many layers whose number of parameters is nearest."""
    networks = (COIN(axes, channels, layers, width) for width in range(1, _WIDEST))
    best = next(networks)
    for network in networks:
        if abs(network.parameter_count() - parameters) > abs(best.parameter_count() - parameters):
            break
        best = network
    return best
