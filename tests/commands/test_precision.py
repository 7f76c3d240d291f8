"""Fits in other precisions than float32 end with a file, whose figures are those of its decoding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quinr_pl.commands.main import main

CONFIGS = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
@pytest.mark.parametrize("name", [pytest.param("tiny", marks=pytest.mark.slow), "tiny_latent"])
def test_a_fit_in_another_precision(name, precision, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--trainer.precision", precision, "--trainer.max_steps", "4"]
    main(["fit", "--config", str(CONFIGS / f"{name}.yaml"), *flags])
    result = json.loads(next(Path().rglob("result.json")).read_text())
    assert result["psnr"] > 5
