from __future__ import annotations

from dataclasses import replace

import independent_entropy
import independent_mask
import numpy as np
import pytest
import torch

from quinr_pl.codec import Compensated, Stepwise, compress, decode, decompress, encode
from quinr_pl.codec.coding.mask import read, write
from quinr_pl.codec.file.container import BitstreamError, Section, Writer, pack
from quinr_pl.codec.file.encoder import bytes_for_rate, mask_bytes
from quinr_pl.codec.file.network_header import write_network
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.sections.weights import write_weights
from quinr_pl.datamodules import SyntheticScanDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import IMAGE_8, RANGE_IMAGE, SignalSpec


def blob(height: int, width: int, seed: int = 0, share: float = 0.8) -> np.ndarray:
    """A mask with runs, as scanners make them."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).cumsum(axis=1)
    return noise <= np.quantile(noise, share)


def spec_of(returns: np.ndarray | None, height: int = 6, width: int = 20) -> SignalSpec:
    return SignalSpec(RANGE_IMAGE, (height, width), 1, 0.0, 80.0, returns)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (17, 64), (64, 33)])
@pytest.mark.parametrize("share", [0.02, 0.8, 1.0])
def test_reads_what_it_wrote_and_so_does_the_independent_decoder(shape, share):
    mask = blob(*shape, share=share)
    mask[0, 0] = True
    payload = write(mask)
    assert np.array_equal(read(payload, shape), mask)
    stack = independent_entropy.Stack(payload)
    assert np.array_equal(independent_mask.read_mask(stack, *shape), mask)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (17, 64)])
def test_a_mask_by_that_of_another_frame(shape):
    mask, other = blob(*shape), blob(*shape, seed=1)
    mask[0, 0] = True
    payload = write(mask, other)
    assert np.array_equal(read(payload, shape, other), mask)
    stack = independent_entropy.Stack(payload)
    assert np.array_equal(independent_mask.read_mask(stack, *shape, other), mask)


def test_a_mask_that_is_nearly_that_of_another_frame_is_cheap():
    mask = blob(32, 128)
    other = np.roll(mask, 1, axis=1)
    assert len(write(mask, other)) < 0.5 * len(write(mask))


def test_smooth_masks_are_cheap():
    noise = np.random.default_rng(0).random((64, 256)) < 0.8
    entropy = -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)) * noise.size / 8
    assert 0.99 * entropy < len(write(noise)) < 1.12 * entropy  # 1,024 contexts are learned in vain
    halves = np.indices((64, 256)).sum(0) < 200
    assert len(write(halves)) < 0.08 * entropy


def test_malformed_payloads():
    payload = write(blob(8, 30))
    with pytest.raises(BitstreamError, match="mask is malformed: it holds more"):
        read(payload + b"\x01\x02\x03\x04\x05", (8, 30))
    with pytest.raises(BitstreamError, match="ends in a zero byte"):
        read(payload + b"\0", (8, 30))
    with pytest.raises(BitstreamError, match="no pixel has a return"):
        read(write(np.zeros((8, 30), bool)), (8, 30))


def test_pixels_without_a_return_are_zero_and_the_others_as_without_a_mask():
    torch.manual_seed(0)
    network = COIN(out_features=1, layers=2, width=6)
    returns = blob(6, 20)
    plain = decompress(compress(network, spec_of(None)).data)
    encoded = compress(network, spec_of(returns))
    decoded = decode(encoded.data)
    assert np.array_equal(decoded.spec.mask, returns)
    assert np.array_equal(decoded.reconstruct(), np.where(returns[:, :, None], plain, 0))
    assert encoded.sections["mask"] == len(write(returns))
    assert sum(encoded.sections.values()) == len(encoded.data)
    assert decoded.sections == encoded.sections
    without = len(compress(network, spec_of(None)).data)
    assert len(encoded.data) == without + mask_bytes(spec_of(returns))
    assert bytes_for_rate(network, spec_of(returns), 6.0) - bytes_for_rate(
        network, spec_of(None), 6.0
    ) == mask_bytes(spec_of(returns))
    assert encode(decoded.quantized, decoded.spec).data == encoded.data


def test_other_signals_have_none():
    header = Writer()
    network = COIN(out_features=1)
    image = SignalSpec(IMAGE_8, (6, 20), 1, 0.0, 255.0)
    write_signal(header, image)
    write_network(header, network, image)
    weights = write_weights(decode(compress(network, image).data).quantized.tensors)
    data = pack(header.getvalue(), [Section(2, weights), Section(4, write(blob(6, 20)))])
    with pytest.raises(BitstreamError, match="section mask does not belong"):
        decode(data)
    with pytest.raises(QuinrError, match="mask of shape"):
        replace(image, mask=blob(6, 20))
    with pytest.raises(QuinrError, match="mask of shape"):
        spec_of(blob(5, 20))
    with pytest.raises(QuinrError, match="nothing to compress"):
        spec_of(np.zeros((6, 20), bool))


@pytest.fixture(scope="module")
def scan() -> SyntheticScanDataModule:
    data = SyntheticScanDataModule(height=64, width=128, dropout=0.9, batch_size=50, steps_per_epoch=30)
    data.setup("fit")
    return data


def test_training_sees_no_pixel_without_a_return(scan):
    assert 0.5 < scan.valid.mean() < 0.9
    assert np.array_equal(scan.targets.isnan().numpy().ravel(), ~scan.valid.ravel())
    targets = torch.cat([targets for _, targets in scan.train_dataloader()])
    assert len(targets) == 1500
    assert (targets > 0).all()
    assert sum(len(targets) for _, targets in scan.val_dataloader()) == 64 * 128


@pytest.mark.parametrize("rounding", [Compensated(rate=8.0), Stepwise(rate=8.0, retraining_steps=20)])
def test_rounding_looks_only_at_returns(scan, rounding):
    torch.manual_seed(0)
    network = COIN(out_features=1, layers=2, width=8)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(200):
        loss, _ = network.loss(scan.coordinates, scan.targets, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    decoded = decompress(compress(network, scan.spec, rounding, targets=scan.targets).data)
    with torch.no_grad():
        smooth = scan.spec.denormalize(network(scan.coordinates).numpy()).reshape(decoded.shape)
    assert np.array_equal(decoded[~scan.valid], np.zeros_like(decoded[~scan.valid]))
    error = np.square(decoded - scan.values)[scan.valid].mean()
    assert error < 1.3 * np.square(smooth - scan.values)[scan.valid].mean()
