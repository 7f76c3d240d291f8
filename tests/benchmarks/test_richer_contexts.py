"""What a context that sees more would save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fits import small_latents

from benchmarks import richer_contexts
from benchmarks.richer_contexts import SETS, Latents, held_out_bits
from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.signals import IMAGE_8, SignalSpec

SPEC = SignalSpec(IMAGE_8, (96, 96), 3, 0.0, 255.0)


def written(folder: Path, grids: list[np.ndarray]) -> Path:
    """A file of these latents, whose context model has not been trained."""
    torch.manual_seed(0)
    network = small_latents(96, 96, 3)
    with torch.no_grad():
        for grid, values in zip(network.pyramid.grids, grids, strict=True):
            grid.copy_(torch.from_numpy(values))
    path = folder / "latents.quinr"
    path.write_bytes(compress(network, SPEC, Nearest(bits=12)).data)
    return path


def shapes() -> list[tuple[int, ...]]:
    return [tuple(grid.shape) for grid in small_latents(96, 96, 3).pyramid.grids]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(richer_contexts, "_STEPS", 150)


def test_bits_are_those_of_the_section(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = written(tmp_path, [np.rint(rng.laplace(0, 1, shape)) for shape in shapes()])
    total = float(Latents.of(path).bits().sum()) / 8
    assert total == pytest.approx(decode(path.read_bytes()).sections["latents"], rel=0.02)


def test_what_the_file_does_not_know_is_found_in_what_is_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    busy = [np.arange(columns) % 16 < 8 for _, columns in shapes()]  # stripes are far from still
    grids = [
        np.rint(rng.laplace(0, 1, shape) * np.where(stripe, 6.0, 0.1))
        for shape, stripe in zip(shapes(), busy, strict=True)
    ]
    latents = Latents.of(written(tmp_path, grids))
    total = float(latents.bits().sum())
    assert held_out_bits(latents, "all") < 0.9 * total


def test_noise_has_nothing_to_see(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    latents = Latents.of(written(tmp_path, [np.rint(rng.laplace(0, 1, shape)) for shape in shapes()]))
    # The untrained model's scale is wrong, which any of the sights mends; seeing more mends no more.
    least = min(held_out_bits(latents, name) for name in SETS)
    assert held_out_bits(latents, "all") > 0.99 * least
