from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import independent_decoder
import independent_entropy
import independent_latents
import independent_mask
import independent_motion
import independent_networks
import independent_scanner
import numpy as np
import pytest
import torch

from quinr_pl.codec import Nearest, compress, decode, decompress
from quinr_pl.network import COIN, CoordinateNetwork, LatentQuINR, QuINR
from quinr_pl.signals import ARRAY, AUDIO, IMAGE_8, IMAGE_16, RANGE_IMAGE, VOLUME, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (12, 9), 3, 0.0, 255.0)
LINEAR: dict[str, Any] = {"readout": "linear", "features": "own"}
QIREN: dict[str, Any] = {"design": "qiren", "angles": 4, "pairs": "strong", "shuffle": False}
QVF: dict[str, Any] = {"design": "qvf", "uploads": 1, "pairs": "unordered", "sine_layers": 1}
CASES: list[tuple[type[CoordinateNetwork], dict[str, Any]]] = [
    (QuINR, {}),
    (QuINR, {"qubits": 5, "angles": 13, "omega0": 10.0, "angle_scale": 0.5, **LINEAR}),
    (QuINR, {"qubits": 1, "angles": 3, "uploads": 2, **LINEAR}),
    (QuINR, {"qubits": 3, "angles": 7, "uploads": 5, "shuffle_seed": 4000000000, "pairs": "ring"}),
    (QuINR, {"qubits": 2, "angles": 4, "pairs": "ring", "range_map": False}),
    (QuINR, {"pairs": "unordered", "stages": 2, "stage_norm": "standardized", "readout": "linear"}),
    (QuINR, {"stages": 3, "stage_norm": "scaled", "readout": "linear", "features": "own"}),
    (QuINR, {"stages": 3, "stage_norm": "centred", "omega0": 1.3, "angle_scale": 0.7}),
    (QuINR, {"qubits": 2, "angles": 4, "sine_layers": 1, "sine_width": 5}),
    (QuINR, {"sine_layers": 4, "omega0": 9.0, "stages": 2, "stage_norm": "scaled", **LINEAR}),
    (QuINR, {"qubits": 2, "angles": 3, "log_range": 3, **LINEAR}),
    (QuINR, {"qubits": 3, "angles": 5, "uploads": 2, "pairs": "none", "shuffle": False}),
    (QuINR, {"qubits": 4, "angles": 5, "layers": 4, "pairs": "strong", **LINEAR}),
    (QuINR, {**QIREN, "stages": 3, "stage_norm": "none", "readout": "linear", "omega0": 2.0}),
    (QuINR, {**QIREN, "qubits": 3, "angles": 5, "stages": 2, "stage_norm": "scaled", **LINEAR}),
    (QuINR, {**QIREN, "stages": 2, "stage_norm": "standardized", "shuffle": True, "pairs": "ring"}),
    (QuINR, {**QVF, "qubits": 3, "angles": 8, "layers": 3}),
    (QuINR, {**QVF, "angles": 16, "stages": 2, "stage_norm": "centred", "readout": "linear"}),
    (COIN, {"layers": 2, "width": 9, "log_range": 1}),
    (COIN, {"layers": 3, "width": 15}),
    (COIN, {"layers": 1, "width": 6, "omega0": 12.2}),
]


@pytest.mark.parametrize("bits", [3, 12])
@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_same_pixels(kind: type[CoordinateNetwork], arguments: dict[str, Any], bits: int) -> None:
    torch.manual_seed(bits)
    data = compress(kind(**arguments), IMAGE, Nearest(bits=bits)).data
    difference = independent_decoder.decode(data) - decompress(data).astype(int)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.02


@pytest.mark.parametrize(
    "spec",
    [
        SignalSpec(RANGE_IMAGE, (5, 1), 1, 0.0, 80.0),
        SignalSpec(ARRAY, (3, 4), 17, -2.5, 7.25),
        SignalSpec(IMAGE_16, (1, 6), 4, 0.0, 65535.0),
        SignalSpec(AUDIO, (300,), 2, -1.0, 1.0),
        SignalSpec(
            AUDIO, (50,), 1, -0.5, 0.25, attributes={"sampling_rate": 22050, "sample_format": "FLOAT"}
        ),
        SignalSpec(VOLUME, (3, 4, 5), 2, -700.0, 3000.0),
        SignalSpec(
            VOLUME,
            (3, 1, 5),
            1,
            -0.5,
            0.25,
            attributes={"value_type": "float64", "affine": (2.5, *(0.25,) * 10, -7.0)},
        ),
    ],
)
def test_other_signals(spec: SignalSpec) -> None:
    data = compress(COIN(len(spec.shape), spec.channels), spec).data
    values = decompress(data)
    other = independent_decoder.decode(data)
    assert other.shape == values.shape
    np.testing.assert_allclose(other, values, atol=max(1.5e-4 * spec.peak, spec.dtype.kind in "iu"))
    assert decode(data).spec == spec


@pytest.mark.parametrize(
    "spec",
    [SignalSpec(AUDIO, (70,), 2, -1.0, 1.0), SignalSpec(VOLUME, (3, 5, 9), 1, 0.0, 9.0)],
    ids=lambda spec: spec.kind.name,
)
def test_latents_of_other_axes(spec: SignalSpec) -> None:
    *rows, width = spec.shape
    network = LatentQuINR(
        len(spec.shape), spec.channels, int(np.prod(rows)), width, finest=0, grids=3, filters=1
    )
    with torch.no_grad():
        for grid in network.integers().values():
            grid.normal_(std=2.0)
    data = compress(network, spec).data
    atol = 1 if spec.dtype.kind in "iu" else 1.5e-4 * spec.peak
    np.testing.assert_allclose(independent_decoder.decode(data), decompress(data), atol=atol)


def test_two_hidden_layers_of_the_context_model() -> None:
    torch.manual_seed(0)
    network = LatentQuINR(height=13, width=18, finest=0, grids=3, context_width=7, context_layers=2)
    with torch.no_grad():
        for parameter in network.context.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for grid in network.integers().values():
            grid.normal_(std=2.0)
    data = compress(network, SignalSpec(IMAGE_8, (13, 18), 3, 0.0, 255.0)).data
    np.testing.assert_allclose(independent_decoder.decode(data), decompress(data).astype(float), atol=1)


@pytest.mark.parametrize(("finest", "grids"), [(0, 1), (0, 4), (1, 3)])
def test_filters_of_each_doubling(finest: int, grids: int) -> None:
    torch.manual_seed(0)
    network = LatentQuINR(height=29, width=18, finest=finest, grids=grids, upsampling="own")
    with torch.no_grad():
        taps = network.pyramid.interpolation.weight
        assert len(taps) == max(1, finest + grids - 1)
        taps.add_(0.2 * torch.randn_like(taps))
        for grid in network.integers().values():
            grid.normal_(std=2.0)
    data = compress(network, SignalSpec(IMAGE_8, (29, 18), 3, 0.0, 255.0)).data
    np.testing.assert_allclose(independent_decoder.decode(data), decompress(data).astype(float), atol=1)


def test_large_levels() -> None:
    network = COIN(layers=1, width=5)
    config = Nearest(bits=16)
    data = compress(network, IMAGE, config).data
    np.testing.assert_allclose(independent_decoder.decode(data), decompress(data), atol=1)


def test_it_is_independent() -> None:
    imported = set()
    modules = [
        independent_latents,
        independent_mask,
        independent_motion,
        independent_networks,
        independent_scanner,
        independent_entropy,
    ]
    for module in (independent_decoder, *modules):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
    standard = {"__future__", "collections.abc", "math", "struct", "typing"}
    assert imported == standard | {module.__name__ for module in modules} | {"numpy"}
