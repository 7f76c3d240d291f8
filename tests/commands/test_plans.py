"""What a fit is given, by what is asked of its file."""

from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.commands.ask import COORDINATES, LATENTS
from quinr_pl.commands.plans import NETWORKS, TRAININGS, coordinate_plan, latent_plan, network_kind
from quinr_pl.network import LatentQuINR
from quinr_pl.signals import ARRAY, AUDIO, IMAGE_8, RANGE_IMAGE, Scanner, SignalKind, SignalSpec

ANY = SignalKind(300, "anything", None, "float32", (0.0, 1.0))


def plan_of(height: int, width: int, effort: int) -> dict:
    spec = SignalSpec(IMAGE_8, (height, width), 3, 0.0, 255.0)
    return latent_plan(spec, spec.pixels // 80, effort, 4e-3)


@pytest.mark.parametrize("effort", TRAININGS)
def test_a_training_on_tiles_visits_pixels_about_as_often_as_one_on_the_whole(effort):
    training = TRAININGS[effort]
    passes, paces = [], []
    for height, width in ((512, 768), (1365, 2048), (3000, 4000)):
        plan = plan_of(height, width, effort)
        sizes = {name: plan[f"model.network.{name}"] for name in ("finest", "grids", "coarse_steps")}
        network = LatentQuINR(height=height, width=width, **sizes)
        shares = [*sizes["coarse_steps"], 1 - sum(sizes["coarse_steps"])]
        steps = [share * plan["trainer.max_steps"] for share in shares]
        passes.append([n / network._tiles.count(octave) for n, octave in zip(steps, (2, 1, 0), strict=True)])
        paces.append(next(sized.pace for sized in NETWORKS if sized.suits(height * width // 80, 0.1, effort)))
    whole, medium, large = passes
    assert paces == [paces[0]] * 3
    assert sum(whole) == pytest.approx(paces[0] * training.steps, abs=0.5)
    assert medium == pytest.approx([0.658 * number for number in whole], rel=0.02)
    assert large == pytest.approx([0.457 * number for number in whole], rel=0.02)


@pytest.mark.parametrize(
    ("effort", "jpeg2000", "measured"),  # photographs of Kodak and one of CLIC, of docs/compress.md
    [
        (1, 30.72, 31.51),
        (2, 28.72, 30.58),
        (3, 22.88, 24.99),
        (3, 30.73, 32.79),
        (3, 38.43, 39.93),
        (3, 39.69, 41.06),
        (3, 42.09, 42.08),
        (4, 30.88, 33.21),
        (2, 39.64, 39.39),
    ],
)
def test_the_quality_that_is_told_is_near_what_was_measured(effort, jpeg2000, measured):
    photograph = SignalSpec(IMAGE_8, (512, 768), 3, 0.0, 255.0)
    told = TRAININGS[effort].expected(jpeg2000, photograph)
    assert told == pytest.approx(measured, abs=0.6)
    assert TRAININGS[effort].jpeg2000(told, photograph) == pytest.approx(jpeg2000)


def test_large_pictures_are_seldom_validated():
    small, large = plan_of(512, 768, 5), plan_of(3000, 4000, 5)
    assert small["data.steps_per_epoch"] == 2000
    assert 4 * large["data.steps_per_epoch"] >= large["trainer.max_steps"]


def weights_of_plan(bpp: float, effort: int) -> int:
    """Weights of the network for a photograph."""
    spec = SignalSpec(IMAGE_8, (512, 768), 3, 0.0, 255.0)
    plan = latent_plan(spec, int(bpp * spec.pixels / 8), effort, 4e-3)
    prefix = "model.network."
    own = {name.removeprefix(prefix): plan[name] for name in plan if name.startswith(prefix)}
    return LatentQuINR(height=64, width=96, **own).parameter_count()


@pytest.mark.parametrize(
    ("bpp", "height", "width", "enlargements"),
    [
        (0.03, 512, 768, 0),
        (0.1, 512, 768, 1),
        (0.2, 512, 768, 1),
        (0.3, 512, 768, 2),
        (1.0, 512, 768, 2),
        (0.1, 3000, 4000, 0),
        (0.3, 3000, 4000, 1),
        (1.0, 3000, 4000, 2),
        (1.0, 8, 8, 2),
        (1.0, 1, 3000, 0),
    ],
)
def test_grids_are_enlarged_where_bits_are_many(bpp, height, width, enlargements):
    spec = SignalSpec(IMAGE_8, (height, width), 3, 0.0, 255.0)
    plan = latent_plan(spec, int(bpp * spec.pixels / 8), 3, 4e-3)
    prefix = "model.network."
    assert plan[f"{prefix}enlargements"] == enlargements
    own = {name.removeprefix(prefix): plan[name] for name in plan if name.startswith(prefix)}
    LatentQuINR(height=height, width=width, **own)  # which says if it cannot be


def test_grids_of_a_range_image_are_enlarged_at_other_rates():
    mask = np.ones((64, 1024), bool)
    for bpp, enlargements in ((0.13, 1), (0.4, 0), (0.8, 2)):
        spec = SignalSpec(RANGE_IMAGE, mask.shape, 1, 0.0, 80.0, mask=mask)
        plan = latent_plan(spec, int(bpp * spec.pixels / 8), 3, 1e-4)
        assert plan["model.network.enlargements"] == enlargements


@pytest.mark.parametrize(
    ("bpp", "height", "width", "upsampling"),
    [
        (0.1, 512, 768, "shared"),
        (0.2, 512, 768, "own"),
        (1.0, 512, 768, "own"),
        (1.0, 100, 80, "shared"),
        (1.0, 1, 100_000, "shared"),
        (0.2, 3000, 4000, "shared"),
        (0.5, 3000, 4000, "own"),
    ],
)
def test_doublings_have_filters_of_their_own_where_bits_are_many(bpp, height, width, upsampling):
    spec = SignalSpec(IMAGE_8, (height, width), 3, 0.0, 255.0)
    for effort in TRAININGS:
        plan = latent_plan(spec, int(bpp * spec.pixels / 8), effort, 4e-3)
        assert plan["model.network.upsampling"] == upsampling
    mask = np.ones((height, width), bool)
    masked = SignalSpec(RANGE_IMAGE, mask.shape, 1, 0.0, 80.0, mask=mask)
    plan = latent_plan(masked, int(bpp * spec.pixels / 8), 3, 4e-3)
    assert plan["model.network.upsampling"] == "shared"


@pytest.mark.parametrize("effort", TRAININGS)
def test_a_larger_file_never_gets_a_smaller_network_for_a_rate(effort):
    for rates in ((0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.29), (0.3, 0.5), (0.8, 2.0)):
        weights = [weights_of_plan(bpp, effort) for bpp in rates]
        assert weights == sorted(weights)
    assert weights_of_plan(0.005, effort) < weights_of_plan(2.0, effort) / 4


@pytest.mark.parametrize("bpp", [0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
def test_a_longer_fit_never_gets_a_smaller_network(bpp):
    weights = [weights_of_plan(bpp, effort) for effort in TRAININGS]
    assert weights == sorted(weights)


def test_a_scan_of_many_bits_has_a_wider_context_model_than_a_photograph_of_its_size():
    photograph = SignalSpec(ANY, (64, 1024), 1, 0.0, 80.0)
    scan = SignalSpec(RANGE_IMAGE, (64, 1024), 1, 0.0, 80.0, scanner=Scanner.even(64, 300, -2500))
    wide, narrow = (
        latent_plan(spec, 7800, 3, 1e-5)["model.network.neighbours"] for spec in (scan, photograph)
    )
    assert wide > narrow
    assert latent_plan(scan, 7800, 1, 1e-5)["model.network.neighbours"] == narrow


@pytest.mark.parametrize(
    ("shape", "kind"), [((60_000,), LATENTS), ((300, 200), LATENTS), ((50, 40, 30), COORDINATES)]
)
def test_axes_tell_which_network_is_usual(shape, kind):
    assert network_kind(2000, SignalSpec(ANY, shape, 1, 0.0, 1.0)) == kind
    assert network_kind(140, SignalSpec(ANY, shape, 1, 0.0, 1.0)) == COORDINATES


def test_frequencies_of_a_single_axis_follow_its_length():
    speech, click, picture = (
        coordinate_plan(SignalSpec(kind, shape, 1, -1.0, 1.0), 1)
        for kind, shape in [(AUDIO, (60_000,)), (AUDIO, (900,)), (ARRAY, (900, 900))]
    )
    assert speech["model.network.coordinate_scale"] == 30
    assert click == picture
    assert click.items() < speech.items()
