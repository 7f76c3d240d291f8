from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quinr_pl.codec import compress, rate_control
from quinr_pl.errors import QuinrError
from quinr_pl.network import QuINR
from quinr_pl.signals import RANGE_IMAGE, SignalSpec


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [150, 300, 610, 819, 1180, 2500, 4900, 10700, 40000, 100000])
def test_six_bits_for_each_weight(size: int, channels: int) -> None:
    network = QuINR(**rate_control.network_for_bytes(size, channels))
    assert network.out_features == channels
    rate = 8 * size / network.parameter_count()
    assert rate == pytest.approx(6.0, rel=0.06 if size >= 300 else 0.3)


def test_known_points_come_back() -> None:
    network = rate_control.network_for_bytes(2492, 3)  # kodak.yaml's
    assert (network["sine_layers"], network["sine_width"]) == (4, 28)
    assert (network["qubits"], network["angles"], network["uploads"]) == (4, 12, 2)


def test_the_file_keeps_the_size() -> None:
    torch.manual_seed(0)
    network = QuINR(**rate_control.network_for_bytes(500, 1))
    rounding = replace(rate_control.rounding_for_bytes(500, network.parameter_count()), points=600)
    spec = SignalSpec(RANGE_IMAGE, (64, 1024), 1, 0.0, 80.0)
    assert 0.95 * 500 <= len(compress(network, spec, rounding).data) <= 500


def test_too_small_a_file() -> None:
    with pytest.raises(QuinrError, match="--bpp: 50 bytes in all are too few"):
        rate_control.network_for_bytes(50, 3)


def test_search_for_a_psnr() -> None:
    assert rate_control.bytes_for_psnr([(1000, 26.2)], 28.0) == 2000
    # A codec that gains 3 dB an octave: the second guess is on its line.
    assert rate_control.bytes_for_psnr([(1000, 25.0), (2000, 28.0)], 26.5) == pytest.approx(1414, abs=1)
    assert rate_control.bytes_for_psnr([(1000, 25.0), (2000, 24.0)], 26.0) > 1000
    assert rate_control.bytes_for_psnr([(1000, 25.0)], 99.0) == 16000
