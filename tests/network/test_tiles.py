"""Training on tiles: what a step looks at, and that it is a part of the whole loss, neither more nor less."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quinr_pl.errors import QuinrError
from quinr_pl.network import LatentQuINR
from quinr_pl.network.base import PartialGradient
from quinr_pl.network.latent import pictures
from quinr_pl.network.latent.bands import grid_shape
from quinr_pl.network.latent.relaxation import Relaxation
from quinr_pl.network.latent.tiles import Tiles
from quinr_pl.ops.window import Window
from quinr_pl.signals import coordinates
from quinr_pl.training.lazy_adam import LazyAdam

SIZE = (77, 106)


@pytest.mark.parametrize("octave", [0, 1, 3])
def test_a_pass_visits_every_pixel_once_and_cuts_between_the_coarsest_latents(octave):
    tiles, shape = Tiles(203, 350, coarsest=4, pixels=2000), grid_shape(203, 350, octave)
    count, unit = tiles.count(octave), 16 >> octave
    seen = []
    for number in range(3):
        visits, windows = torch.zeros(shape), []
        for step in range(number * count, (number + 1) * count):
            windows.append(tiles.tile(octave, step))
            windows[-1].of(visits).add_(1)
        assert (visits == 1).all()
        for window in windows:
            assert window.top % unit == window.left % unit == 0
            assert window.bottom % unit == 0 or window.bottom == shape[0]
            assert window.right % unit == 0 or window.right == shape[1]
        assert shape[0] * shape[1] / count <= 2000
        seen.append(windows)
    if count > 1:
        assert set(seen[0]) != set(seen[1]), "cuts move"
        assert seen[0] != sorted(seen[0], key=lambda window: (window.top, window.left)), "in random order"
    assert seen[2] == [Tiles(203, 350, 4, 2000).tile(octave, step) for step in range(2 * count, 3 * count)]


def test_tiles_are_no_smaller_than_a_latent_of_the_coarsest_grid():
    tiles = Tiles(100, 40, coarsest=5, pixels=1)
    windows = [tiles.tile(0, step) for step in range(tiles.count(0))]
    assert all(window.size > 0 for window in windows)
    assert len(windows) == 2
    assert Tiles(3, 2, coarsest=5, pixels=1).count(0) == 1
    with pytest.raises(QuinrError, match="step_pixels 0"):
        Tiles(3, 2, 1, 0)


def networks(monkeypatch, **arguments):
    """Two of the same weights in double precision, without noise: one for whole steps, one for tiles."""
    monkeypatch.setattr(Relaxation, "at", classmethod(lambda cls, progress: cls(0.3, 0.0)))
    both = [
        LatentQuINR(height=SIZE[0], width=SIZE[1], step_pixels=pixels, **arguments).double()
        for pixels in (SIZE[0] * SIZE[1], 1500)
    ]
    for parameter in both[0].parameters():
        nn.init.normal_(parameter, std=0.2)
    for grid in both[0].pyramid.grids:
        nn.init.normal_(grid, std=2.0)
    both[1].load_state_dict(both[0].state_dict())
    return both


def well_inside(partial):
    """Which latents of a tile have no part in other tiles, (rows, columns) of bool."""
    reach, window = 12, partial.window
    top, left = (edge + reach if edge else 0 for edge in (window.top, window.left))
    inner = torch.zeros(partial.parameter.shape, dtype=torch.bool)
    inner[top : max(0, window.bottom - reach), left : max(0, window.right - reach)] = True
    return window.of(inner)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("finest", [0, 1])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("upsampling", ["shared", "own"])
def test_losses_of_tiles_average_to_that_of_the_whole(monkeypatch, progress, finest, plain, upsampling):
    sizes = {"finest": finest, "grids": 4 - finest, "neighbours": 24}
    arguments = {**sizes, "coarse_steps": (0.3,), "upsampling": upsampling}
    whole, tiled = networks(monkeypatch, **arguments)
    if not plain:  # as users of torch may: hooks go another way than kernels
        for module in tiled.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.register_forward_hook(lambda *_: None)
        tiled.pyramid.interpolation.register_forward_hook(lambda *_: None)
    grid = coordinates(SIZE)
    targets = torch.rand(len(grid), 3, dtype=torch.float64)
    targets[torch.rand(len(grid)) < 0.2] = torch.nan
    octave = whole._stages.octave(progress)
    expected, figures = whole.loss(grid, targets, progress)
    expected.backward()
    pairs = zip(tiled.pyramid.grids, whole.pyramid.grids, strict=True)
    gradients = {id(grid): one.grad for grid, one in pairs}
    count = tiled._tiles.count(octave)
    assert count > 1
    total, bpp, compared = 0.0, 0.0, 0
    for step in range(count):
        tiled.begin_step(step, progress)
        loss, estimate = tiled.loss(grid, targets, progress)
        (loss / count).backward()
        total, bpp = total + float(loss.detach()) / count, bpp + float(estimate["bpp"]) / count
        for partial in tiled.partial_gradients():
            inner = well_inside(partial)
            known = partial.window.of(gradients[id(partial.parameter)])
            torch.testing.assert_close(partial.gradient[inner], known[inner], rtol=1e-9, atol=1e-12)
            compared += int(inner.sum())
    assert total == pytest.approx(expected.item(), rel=1e-12)
    assert bpp == pytest.approx(float(figures["bpp"]), rel=1e-12)
    assert compared > 0 or progress == 1.0
    latents = set(tiled.integers())
    for (name, one), other in zip(whole.named_parameters(), tiled.parameters(), strict=True):
        if name in latents:
            assert other.grad is None
        elif one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-8, atol=1e-12, msg=name)
    assert tiled.partial_gradients() == []


def test_values_without_gradients_are_those_with_them(monkeypatch):
    whole, tiled = networks(monkeypatch, finest=1, grids=3)
    grid = coordinates(SIZE)
    with torch.no_grad():
        bands = tiled(grid)
    torch.testing.assert_close(bands, whole(grid).detach())


def test_averages_of_a_large_picture_are_made_in_bands(monkeypatch):
    targets = torch.rand(SIZE[0] * SIZE[1], 3)
    targets[torch.rand(len(targets)) < 0.2] = torch.nan
    whole = pictures.Pictures(*SIZE)(targets, 2)
    monkeypatch.setattr(pictures, "_BAND_PIXELS", 600)
    for expected, found in zip(whole, pictures.Pictures(*SIZE)(targets, 2), strict=True):
        assert torch.equal(expected, found)


class _OneGrid(nn.Module):
    """Hands out the gradients it is given."""

    def __init__(self, shape):
        super().__init__()
        self.grid = nn.Parameter(torch.randn(shape))
        self.given = []

    def partial_gradients(self):
        given, self.given = self.given, []
        return given


def test_lazy_adam_is_adam_where_it_works_and_nothing_elsewhere():
    network = _OneGrid((6, 8))
    other = nn.Parameter(torch.zeros(2))
    settings = {"lr": 0.1, "betas": (0.8, 0.9)}
    optimizer = torch.optim.AdamW([other, network.grid], weight_decay=0.0, **settings)
    optimizer.register_step_post_hook(LazyAdam(network))
    whole = nn.Parameter(network.grid.detach().clone())
    reference = torch.optim.Adam([whole], **settings)
    halves = [Window(0, 6, 0, 3), Window(0, 6, 3, 8)]
    for number in range(5):
        whole.grad = torch.randn(6, 8)
        for half in halves if number % 2 else reversed(halves):
            before = network.grid.detach().clone()
            network.given = [PartialGradient(network.grid, half, half.of(whole.grad))]
            optimizer.step()
            half.of(before).copy_(half.of(network.grid.detach()))
            assert torch.equal(before, network.grid)
        reference.step()
        torch.testing.assert_close(network.grid.detach(), whole.detach())
