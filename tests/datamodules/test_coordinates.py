from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from quinr_pl.datamodules import SampleDataModule
from quinr_pl.datamodules.coordinates import (
    ConsecutiveBlockSampler,
    CoordinateDataset,
    RandomBlockSampler,
    ResumableBlocks,
    WholeSignalSampler,
)
from quinr_pl.errors import QuinrError


def blocks(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_one_pass_sees_every_pixel():
    found = torch.cat(blocks(RandomBlockSampler(1000, 128)))
    assert len(found) == 1024
    assert sorted(found[:1000].tolist()) == list(range(1000))


def test_whole_signal_steps_go_on_where_a_fit_stopped():
    sampler = WholeSignalSampler(10, 3)
    assert blocks(sampler) == [slice(0, 10)] * 3
    sampler.skip = 2
    assert blocks(sampler) == [slice(0, 10)]
    assert blocks(sampler) == [slice(0, 10)] * 3


def test_blocks_depend_on_seed_and_epoch_alone():
    def first(seed, epoch):
        return blocks(RandomBlockSampler(1000, 64, 1, seed), epoch)[0].tolist()

    assert first(0, 3) == first(0, 3)
    assert len({tuple(first(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_the_signal(ranks):
    parts = [blocks(RandomBlockSampler(999, 50, None, 0, ranks, rank)) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    for together in zip(*parts, strict=True):
        together = torch.cat(together)
        assert len(together.unique()) >= len(together) - 50 * ranks
    seen = torch.cat([torch.cat(part) for part in parts])
    assert sorted(seen.unique().tolist()) == list(range(999))


def test_steps_per_epoch_and_small_signals():
    sampler = RandomBlockSampler(10, 4096, steps_per_epoch=7)
    assert len(sampler) == len(blocks(sampler)) == 7
    assert all(sorted(block.tolist()) == list(range(10)) for block in blocks(sampler))


def test_consecutive_blocks_cover_in_order():
    dataset = CoordinateDataset(torch.arange(20).reshape(10, 2), torch.arange(10).reshape(10, 1))
    sampler = ConsecutiveBlockSampler(10, 4)
    assert len(sampler) == 3
    targets = torch.cat([dataset[part][1] for part in sampler])
    assert targets.flatten().tolist() == list(range(10))


class Recorder(pl.LightningModule):
    """Records what the trainer hands out."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained, self.validated = [], []

    def training_step(self, batch, _):
        self.trained.append(batch)
        return self.weight * 0.0

    def validation_step(self, batch, _):
        self.validated.append(batch)

    def predict_step(self, batch, _):
        return batch[1]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**options) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # Lightning 2.6 on torch 2.13
def test_lightning_runs_it():
    data = SampleDataModule(longer_side=16, batch_size=32, steps_per_epoch=5, eval_batch_size=100)
    module = Recorder()
    trainer(max_epochs=2, num_sanity_val_steps=0).fit(module, data)
    assert len(module.trained) == 10
    coordinates, targets = module.trained[0]
    assert coordinates.shape == (32, 2)
    assert targets.shape == (32, 3)
    assert not torch.equal(coordinates, module.trained[5][0])  # another epoch, another order
    predicted = torch.cat(trainer().predict(module, data))
    values = data.spec.denormalize(predicted.numpy()).reshape(data.values.shape)
    np.testing.assert_array_equal(values, data.values)
    assert torch.equal(torch.cat([c for c, _ in module.validated[-3:]]), data.coordinates)


@pytest.mark.parametrize("flag", ["batch_size", "steps_per_epoch", "eval_batch_size"])
def test_sizes_must_be_positive(flag):
    with pytest.raises(QuinrError, match=f"--data.{flag} 0"):
        SampleDataModule(**{flag: 0})


def test_sample_refuses_unknown_names():
    with pytest.raises(QuinrError, match="astronaut, chelsea, coffee"):
        SampleDataModule("lena")
    with pytest.raises(QuinrError, match=r"--data\.longer_side 0"):
        SampleDataModule(longer_side=0)


@pytest.mark.parametrize(("image", "shape"), [("chelsea", (300, 451, 3)), ("coffee", (400, 600, 3))])
def test_sample_is_the_photograph(image, shape):
    data = SampleDataModule(image)
    data.setup()
    assert data.values.shape == shape == (*data.spec.shape, data.channels)
    skimage_data = pytest.importorskip("skimage.data")
    np.testing.assert_array_equal(data.values, getattr(skimage_data, image)())


def test_interrupted_blocks_go_on_within_the_epoch():
    signal = CoordinateDataset(torch.rand(50, 2), torch.rand(50, 1))

    def loader() -> ResumableBlocks:
        return ResumableBlocks(signal, RandomBlockSampler(50, 8, steps_per_epoch=9, seed=3))

    whole = [targets for _, targets in loader()]
    first, second = loader(), loader()
    iterator = iter(first)
    taken = [next(iterator)[1] for _ in range(4)]
    second.load_state_dict(first.state_dict())
    rest = [targets for _, targets in second]
    assert torch.equal(torch.cat(taken + rest), torch.cat(whole))
    assert second.state_dict() == {"taken": 0}
    assert len(list(second)) == 9
