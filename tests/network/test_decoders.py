"""Decoders without torch compute what the networks of torch compute."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quinr_pl.network import COIN, NETWORKS, LatentQuINR, Network, QuINR
from quinr_pl.network.decoders.registry import DECODERS

SHAPE = (13, 22)
STAGES = {"qubits": 3, "angles": 5, "stages": 3, "omega0": 8.0}
ARCHITECTURES: list[tuple[type[Network], dict[str, Any]]] = [
    (QuINR, {}),
    (QuINR, {"features": "own", "readout": "linear", "pairs": "ring", "omega0": 9.0}),
    (QuINR, {"range_map": False, "shuffle_seed": 7, "out_features": 1}),
    *((QuINR, {**STAGES, "stage_norm": kind}) for kind in ("none", "centred", "standardized", "scaled")),
    (QuINR, {"sine_layers": 2, "sine_width": 9, "omega0": 8.0, "log_range": 3}),
    (COIN, {}),
    (COIN, {"layers": 1, "width": 7, "out_features": 1, "log_range": 5}),
    (LatentQuINR, {}),
    (LatentQuINR, {"finest": 0, "grids": 3, "filters": 0, "qubits": 3, "angles": 5, "uploads": 1}),
    (LatentQuINR, {"finest": 3, "grids": 4, "synthesis": "relu", "out_features": 1, "neighbours": 3}),
]
NAMES = [f"{kind.__name__}-{number}" for number, (kind, _) in enumerate(ARCHITECTURES)]


@pytest.fixture(params=ARCHITECTURES, ids=NAMES)
def network(request: pytest.FixtureRequest) -> Network:
    kind, arguments = request.param
    torch.manual_seed(0)
    size = {"height": SHAPE[0], "width": SHAPE[1]} if kind is LatentQuINR else {}
    made = kind(**size, **arguments)
    with torch.no_grad():
        for latents in made.integers().values():
            latents.normal_(std=2.0).round_()
        for name, weight in made.weights().items():
            if name.startswith(("filters", "readout.bias", "stage_norm")):
                weight.normal_(std=0.1)
    return made


@pytest.mark.parametrize("kind", [QuINR, COIN, LatentQuINR])
def test_every_network_of_the_package_has_one(kind: type[Network]) -> None:
    assert NETWORKS[kind.CODE] is kind
    assert DECODERS[kind.CODE].network_name() == kind.__name__
    assert DECODERS[kind.CODE].FIELDS is kind.FIELDS


def test_parts_have_the_names_shapes_and_order_of_the_network(network: Network) -> None:
    decoder = DECODERS[network.CODE].outline(network.architecture())
    assert list(decoder.weight_shapes().items()) == list(network.weight_shapes().items())
    assert list(decoder.integer_shapes().items()) == list(network.integer_shapes().items())
    assert decoder.context_shape() == network.context_shape()
    assert decoder.parameter_count() == network.parameter_count()
    assert decoder.architecture() == network.architecture()


@torch.no_grad()
def test_the_signal_is_that_of_the_network(network: Network) -> None:
    values = {name: value.numpy() for name, value in network.state_dict().items()}
    decoded = DECODERS[network.CODE].outline(network.architecture()).reconstruction(values)
    pixels, row = math.prod(SHAPE), SHAPE[1]
    expected = network.signal(0, pixels, SHAPE).numpy()
    whole = decoded(0, pixels, SHAPE)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, expected, rtol=0, atol=3e-5 * max(1.0, np.abs(expected).max()))
    for first, last in ((0, 3), (5, 6), (4, SHAPE[0])):
        part = decoded(first * row, last * row, SHAPE)
        np.testing.assert_allclose(part, whole[first * row : last * row], rtol=0, atol=1e-5)


HEAVY = ("torch", "pytorch_lightning", "pennylane", "torchmetrics", "matplotlib", "skimage", "scipy")


@pytest.mark.parametrize("command", ["--help", "inspect", "decompress"])
def test_files_decode_without_torch(command: str, tmp_path: Path) -> None:
    """In a process of its own, as this one has torch."""
    file = Path(__file__).parents[1] / "data" / "latent_rgb8.quinr"
    arguments = {
        "--help": ["--help"],
        "inspect": ["inspect", str(file)],
        "decompress": ["decompress", str(file), "-o", str(tmp_path / "back.png")],
    }[command]
    program = (
        "import sys\n"
        "from quinr_pl.commands.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
