"""Fits that begin with what another fit's file holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_pl.callbacks import InheritedWeights
from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import KINDS, SignalSpec


@pytest.fixture
def file_of(tmp_path):
    """Writes the file of a network of three channels for a picture of 8 x 8 pixels."""

    def write(network):
        path = tmp_path / "parent.quinr"
        spec = SignalSpec.of(KINDS[1], np.zeros((8, 8, 3), np.uint8))
        path.write_bytes(compress(network, spec, Nearest(bits=8), torch.zeros(64, 3)).data)
        return path, decode(path.read_bytes()).quantized.values()

    return write


def begun(network, path):
    """The network as a fit begins that inherits from a file, and the share that it inherits."""
    callback = InheritedWeights(str(path))
    callback.setup(None, CoordinateNetworkModule(network), "fit")
    return {**network.weights(), **network.integers()}, callback.share


def test_the_same_network_takes_all(file_of):
    path, values = file_of(COIN(layers=2, width=5))
    found, share = begun(COIN(layers=2, width=5), path)
    assert share == 1
    assert found.keys() == values.keys()
    for name, weight in found.items():
        assert np.array_equal(weight.detach(), values[name])


def test_what_has_another_shape_begins_anew(file_of):
    path, values = file_of(COIN(layers=2, width=5))
    deeper = COIN(layers=3, width=5)
    own = {name: weight.detach().clone() for name, weight in deeper.weights().items()}
    found, share = begun(deeper, path)
    taken = {name for name in found if name in values and values[name].shape == found[name].shape}
    assert taken
    assert taken < found.keys()
    for name, weight in found.items():
        assert np.array_equal(weight.detach(), values[name] if name in taken else own[name])
    count = sum(found[name].numel() for name in taken)
    assert share == pytest.approx(count / deeper.parameter_count())
    assert begun(COIN(layers=2, width=6), path)[1] < share


def test_latents_go_with_another_circuit(file_of):
    latent = {"height": 8, "width": 8, "finest": 0, "grids": 3}
    network = LatentQuINR(**latent, qubits=2, angles=4)
    with torch.no_grad():
        for grid in network.integers().values():
            grid.copy_(torch.arange(grid.numel()).reshape(grid.shape) % 5 - 2)
    path, values = file_of(network)
    other = LatentQuINR(**latent, qubits=3, angles=6)
    found, share = begun(other, path)
    for name in other.integers():
        assert values[name].any()
        assert np.array_equal(found[name].detach(), values[name])
    assert 0.5 < share < 1


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(QuinrError, match=r"none.quinr: cannot read \(No such file.*\); give a .quinr file"):
        begun(COIN(layers=2, width=5), tmp_path / "none.quinr")
