"""Pixels of a scan's file beside JPEG 2000 with its mask."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from fits import small_latents

from benchmarks.scan_pixels import row
from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError


def scan(folder: Path, seed: int) -> ImageDataModule:
    """A scan whose first beams are sparse, so that its mask takes bytes."""
    path = folder / f"{seed}.bin"
    street_scan(seed, azimuths=200, dropout=0.3).tofile(path)
    data = ImageDataModule(str(path))
    data.prepare_data()
    data.setup("fit")
    return data


def test_rays_and_mask_stand_before_both(tmp_path: Path) -> None:
    data = scan(tmp_path, 0)
    height, width = data.spec.shape
    torch.manual_seed(0)
    network = small_latents(height, width, 3, out_features=1)
    with torch.no_grad():
        network.pyramid.grids[0].copy_(torch.randint(-3, 4, network.pyramid.grids[0].shape))
    path = tmp_path / "scan.quinr"
    path.write_bytes(compress(network, data.spec, Nearest(bits=8)).data)
    cells = [cell.strip() for cell in row(path, data).strip("|").split("|")]
    name, size, quality, other, gain, with_rays = cells
    assert name == "scan"
    assert int(size.replace(",", "")) == path.stat().st_size
    shown, valid = decode(path.read_bytes()).reconstruct(), data.valid
    error = float(((shown[valid] - data.values[valid]) ** 2).mean())
    assert float(quality) == pytest.approx(10 * math.log10(data.spec.peak**2 / error), abs=0.01)
    assert float(gain) == pytest.approx(float(quality) - float(other), abs=0.011)
    assert float(with_rays) > float(gain)
    with pytest.raises(QuinrError, match="its mask is not that of the scan"):
        row(path, scan(tmp_path, 1))
