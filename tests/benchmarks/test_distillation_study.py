"""The study of distillation, in its quick form, and what students are fitted to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.studies import distillation
from benchmarks.studies.signals import FieldDataModule, synthetic
from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.experiments.fit_configs import data_module_of
from quinr_pl.network import COIN
from quinr_pl.signals import coordinates


@pytest.mark.slow
def test_students_are_of_equal_bytes(figures, capsys):
    rows = figures(distillation.main)["fits"]
    for signal in {row["signal"] for row in rows}:
        students = [row for row in rows if row["signal"] == signal and row["network"] != "field"]
        assert len(students) == 3 * 2
        assert len({row["parameters"] for row in students}) == 1
        sizes = [row["bytes"] for row in students]
        assert max(sizes) < 1.05 * min(sizes)
        assert max(sizes) < min(row["bytes"] for row in rows if row["network"] == "field") / 4
    out = capsys.readouterr().out
    assert "| fitted to | field | **signal** | **field at pixels** |" in out
    assert "| less signal | mean, dB |" in out


@pytest.mark.parametrize("finer", [1, 3])
def test_students_see_the_values_of_the_field(tmp_path, finer):
    signal = synthetic("mixed", 2, size=6)
    own = data_module_of(signal)
    own.setup()
    path = tmp_path / "field.quinr"
    path.write_bytes(compress(COIN(out_features=1, width=5), own.spec, Nearest(), own.targets).data)
    data = FieldDataModule(signal, str(path), finer, steps_per_epoch=4)
    data.setup()
    assert torch.equal(data.targets, own.targets)  # files are judged by the signal
    network = decode(path.read_bytes()).network
    seen = []
    for points, values in data.train_dataloader():
        assert len(points) == own.spec.pixels
        with torch.no_grad():
            assert torch.allclose(values, network(points).clamp(0, 1), atol=1e-6)
        seen += points.tolist()
    pixels = {tuple(point) for point in coordinates((6, 6)).tolist()}
    distinct = set(map(tuple, np.round(seen, 5)))
    assert len(distinct) == 36 if finer == 1 else len(distinct) > 100
    if finer == 1:
        assert distinct == set(map(tuple, np.round(sorted(pixels), 5)))
