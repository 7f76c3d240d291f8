"""What a fit says of its work."""

from __future__ import annotations

from pathlib import Path

import pytest

from quinr_pl.commands.main import main

CONF = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize(("config", "steps"), [("tiny.yaml", 4), ("tiny_latent.yaml", 4)])
def test_a_fit_says_what_it_does_after_its_last_step(config, steps, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--trainer.max_steps", str(steps), "--data.steps_per_epoch", "2"]
    assert main(["fit", "--config", str(CONF / config), *flags]) == 0
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    last_step = max(n for n, line in enumerate(lines) if line.startswith(f"step {steps}/{steps}: "))
    assert " dB" in lines[last_step]
    assert " bytes" in lines[last_step]
    after = lines[last_step + 1 :]
    written = next(tmp_path.rglob("*.quinr")).stat().st_size
    assert any(line.startswith("rounding") for line in after)
    assert f"decoding {written} bytes" in after
    assert f"{written} bytes" in shown.out


def test_stages_and_parts_of_the_work_are_told_in_order(tmp_path, monkeypatch):
    import torch

    from quinr_pl.codec import Stepwise, compress
    from quinr_pl.network import COIN
    from quinr_pl.signals import IMAGE_8, SignalSpec

    told: list[tuple[str, int, int]] = []
    config = Stepwise(retraining_steps=2, points=64)
    spec = SignalSpec(IMAGE_8, (8, 8), 3, 0.0, 255.0)
    targets = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
    compress(COIN(layers=2, width=6), spec, config, targets, lambda *part: told.append(part))
    stages = list(dict.fromkeys(what for what, _, _ in told))
    assert stages[0] == "rounding"
    assert set(stages) <= {"rounding", "searching among levels"}
    assert all(0 <= done < total for _, done, total in told)
