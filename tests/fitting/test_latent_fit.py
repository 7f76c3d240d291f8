from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import QUICK
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from quinr_pl.codec import decode, decompress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import SampleDataModule, SyntheticScanDataModule
from quinr_pl.network import LatentQuINR
from quinr_pl.network.latent.pyramid import LatentPyramid, Upsampling
from quinr_pl.network.latent.relaxation import Relaxation
from quinr_pl.ops.relaxation import relaxed
from quinr_pl.ops.soft_rounding import soft_round
from quinr_pl.signals import coordinates

TINY = str(Path(__file__).parents[1] / "conf" / "tiny_latent.yaml")
RUN = Path("runs/tiny_latent/version_0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fit_leaves_a_file_with_the_figures_it_reports(folder, capsys):
    assert main(["fit", "--config", TINY]) == 0
    result = json.loads((RUN / "result.json").read_text())
    data = (RUN / "astronaut.quinr").read_bytes()
    sample = SampleDataModule(longer_side=50)
    sample.setup()
    error = np.mean((decompress(data).astype(float) - sample.values) ** 2)
    assert result["method"] == "LatentQuINR"
    assert result["bytes"] == len(data)
    assert result["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    assert result["psnr"] > 13
    events = EventAccumulator(str(RUN))
    events.Reload()
    assert {"train/bpp", "train/psnr", "rate/section/latents", "val/psnr"} <= set(events.Tags()["scalars"])
    assert "circuit" in events.Tags()["images"]

    assert main(["decompress", str(RUN / "astronaut.quinr"), "-o", "back.png"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("back.png")), decompress(data))
    capsys.readouterr()
    assert main(["inspect", str(RUN / "astronaut.quinr"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert sum(shown["sections"].values()) == shown["bytes"]
    assert main(["validate", "--config", TINY, "--ckpt_path", "best"]) == 0


def test_the_same_seed_gives_the_same_file_and_a_larger_rate_weight_a_smaller_one(folder):
    few = ["fit", "--config", TINY, *QUICK, "--trainer.max_steps", "40"]
    for _ in range(2):
        main(few)
    main([*few, "--model.network.rate_weight", "1.0"])
    files = [Path(f"runs/tiny_latent/version_{v}/astronaut.quinr").read_bytes() for v in range(3)]
    assert files[0] == files[1]
    assert len(files[2]) < len(files[0])


def test_a_fit_on_tiles_ends_near_that_on_the_whole_picture(folder):
    for pixels, steps in ((2500, 40), (700, 160)):  # each pixel is seen as often: there are four tiles
        sizes = ["--model.network.step_pixels", str(pixels), "--trainer.max_steps", str(steps)]
        assert main(["fit", "--config", TINY, *QUICK, *sizes]) == 0
    psnr = [json.loads(path.read_text())["psnr"] for path in sorted(Path("runs").rglob("result.json"))]
    assert len(psnr) == 2
    assert psnr[1] > psnr[0] - 1


def test_the_twin_fits_and_a_gray_picture_compresses(folder):
    Image.fromarray(np.arange(20 * 33, dtype=np.uint8).reshape(20, 33)).save("photo.png")
    few = ["--trainer.max_steps", "4", "--model.network.synthesis", "relu"]
    assert main(["compress", "photo.png", "--config", TINY, *few]) == 0
    assert decompress(Path("photo.quinr").read_bytes()).shape == (20, 33, 1)


def test_random_pixels_are_refused(folder, capsys):
    assert main(["fit", "--config", TINY, "--data.batch_size", "64"]) == 2
    assert "--data.batch_size 64: LatentQuINR takes the whole signal" in capsys.readouterr().err
    assert main(["fit", "--config", TINY, "--model.network.rate_weight", "0"]) == 2
    assert "rate_weight" in capsys.readouterr().err


def test_the_loss_ignores_what_any_value_will_do_for():
    torch.manual_seed(0)
    network = LatentQuINR(out_features=1, height=12, width=20, grids=3, rate_weight=1e-9)
    grid = coordinates((12, 20))
    targets = torch.rand(240, 1)
    known = torch.rand(240, 1) < 0.7
    masked = torch.where(known, targets, torch.nan)
    # The last steps see the whole resolution and rounded latents: no noise.
    loss, figures = network.loss(grid, masked, 1.0)
    error = torch.where(known, network(grid) - targets, 0.0)
    torch.testing.assert_close(figures["mse"], error.square().mean().detach())
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    _, coarse = network.loss(grid, masked, 0.0)
    block = masked.reshape(12, 20)[:4, :4]
    picture, share = network._pictures(masked, 2)
    torch.testing.assert_close(picture[0, 0, 0], block.nanmean())
    assert float(share[0, 0, 0]) == pytest.approx(float((~block.isnan()).float().mean()))
    assert torch.isfinite(coarse["mse"])
    # Other targets, such as another signal's, have a loss of their own.
    masked.sub_(1).neg_()
    _, other = network.loss(grid, masked, 1.0)
    error = torch.where(known, network(grid) - (1 - targets), 0.0)
    torch.testing.assert_close(other["mse"], error.square().mean().detach())


def test_a_range_image_with_a_mask_fits(folder):
    shape = ["--data.height", "16", "--data.width", "64", "--data.dropout", "0.98"]
    few = ["--trainer.max_steps", "30"]
    scan = ["--data", "SyntheticScanDataModule", *shape, "--data.batch_size", "null"]
    assert main(["fit", "--config", TINY, *QUICK, *scan, *few]) == 0
    (file,) = Path("runs").rglob("street-0.quinr")
    data = SyntheticScanDataModule(height=16, width=64, dropout=0.98)
    data.setup()
    decoded = decode(file.read_bytes())
    np.testing.assert_array_equal(decoded.spec.mask, data.valid)
    assert (decoded.reconstruct()[~data.valid] == 0).all()
    assert 0.3 < data.valid.mean() < 0.97
    result = json.loads((file.parent / "result.json").read_text())
    error = np.square(decoded.reconstruct() - data.values)
    assert result["rmse"] == pytest.approx(np.sqrt(error.mean()))
    assert result["rmse_valid"] == pytest.approx(np.sqrt(error[data.valid].mean()))


def test_training_goes_from_coarse_to_fine():
    network = LatentQuINR(height=40, width=24, coarse_steps=(0.5, 0.25))
    work = [0.5 / 16, 0.25 / 4, 0.25]
    assert network.progress(0.5) == pytest.approx(work[0] / sum(work))
    assert network.progress(0.75) == pytest.approx((work[0] + work[1]) / sum(work))
    assert network.progress(1.0) == pytest.approx(1.0)
    targets = torch.rand(960, 3)
    for share, moved in ((0.2, [False, True]), (0.6, [True, True]), (0.999, [False, False])):
        network.zero_grad()
        loss, figures = network.loss(torch.zeros(960, 2), targets, network.progress(share))
        loss.backward()
        gradients = [grid.grad is not None for grid in network.pyramid.grids[:2]]
        assert gradients == moved
        assert loss.item() == pytest.approx(float(figures["mse"] + network.rate_weight * figures["bpp"]))


@pytest.mark.parametrize(
    ("synthesis", "layers"), [("circuit", ["embedding", "readout"]), ("relu", ["hidden", "readout"])]
)
def test_weights_that_decay_are_those_of_latents_and_their_features(synthesis, layers):
    network = LatentQuINR(height=16, width=16, grids=3, synthesis=synthesis)
    decayed = {id(weight) for weight in network.feature_weights()}
    names = {name for name, parameter in network.named_parameters() if id(parameter) in decayed}
    maps = {f"synthesis.{layer}.weight" for layer in layers}
    assert names == maps | {"skip.weight", "context.hidden.weight", "context.output.weight"}


def test_filters_of_each_doubling_start_as_the_one_of_all():
    grids = [torch.rand(-(-13 >> level), -(-22 >> level)) for level in range(1, 4)]
    shared, own = (LatentPyramid(13, 22, 1, 3, kind) for kind in ("shared", "own"))
    expected = shared.interpolate(grids, 13, 22)
    torch.testing.assert_close(own.interpolate(grids, 13, 22), expected)
    for octave in range(3):  # each has its part in the picture
        with torch.no_grad():
            own.interpolation.weight[octave, 1] += 1
            assert not torch.allclose(own.interpolate(grids, 13, 22), expected)
            own.interpolation.weight[octave, 1] -= 1
    of_weight = torch.autograd.grad(own.interpolate(grids, 13, 22, 1).sum(), own.interpolation.weight)[0]
    assert not of_weight[0].any()  # at half the resolution the last doubling has none
    assert of_weight[1:].abs().sum(1).min() > 0


def test_interpolation_starts_bilinear():
    values = torch.rand(2, 5, 7)
    expected = torch.nn.functional.interpolate(values[None], scale_factor=2, mode="bilinear")[0]
    torch.testing.assert_close(Upsampling()(values).detach(), expected)


def test_relaxed_rounding_ends_near_integers():
    torch.manual_seed(0)
    latents, key = torch.randn(1000) * 3, torch.tensor([1, 2])
    torch.testing.assert_close(soft_round(latents, 10.0), latents, atol=0.01, rtol=0)
    torch.testing.assert_close(soft_round(latents.round(), 0.1), latents.round())
    settings = [[r.temperature, r.spread] for r in map(Relaxation.at, (0.0, 1.0))]
    ((start, end),) = relaxed([latents, latents], key, torch.tensor(settings))
    assert (end - end.round()).abs().mean() < (start - start.round()).abs().mean()


def test_a_grid_that_joins_late_starts_as_soft_as_the_others_did(monkeypatch):
    network = LatentQuINR(height=40, width=24, finest=0, grids=4, coarse_steps=(0.5, 0.25))
    begun = []
    monkeypatch.setattr(
        Relaxation, "at", classmethod(lambda cls, progress: begun.append(progress) or cls(0.1, 0.2))
    )
    full = network.progress(0.75)  # where the resolution of the pixels begins
    assert network._stages.octave(full - 1e-3) == 1
    numbers = network.schedule(full)
    assert numbers == (network.rate_weight / (40 * 24), *[0.1, 0.2] * 4)
    half = network.progress(0.5)
    assert begun == pytest.approx(
        [0.0, (full - half) / (0.92 - half), *[full / 0.92] * 2]  # all but the hard share of 0.08
    )
