"""From what a config says of rounding to a way of rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from quinr_pl.codec import Compensated, Nearest, Rounding, Searched, Stepwise, rounding_of
from quinr_pl.codec.rounding import ROUNDINGS, as_options
from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError

OLD_DUMP: dict[str, Any] = {
    "bits": 8,
    "bits_by_tensor": {},
    "step_sizes": {},
    "rate": 5.0,
    "points": 24576,
    "damping": 0.01,
    "seed": 0,
    "retraining_steps": 400,
    "retraining_learning_rate": 0.0005,
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "nearest", "bits": 12}, Nearest(bits=12)),
        ({"method": "nearest", "step_sizes": {"w": 1}}, Nearest(step_sizes={"w": 1.0})),
        ({"method": "compensated", "rate": 5}, Compensated(rate=5.0)),
        ({"method": "gptq", "points": 100}, Compensated(points=100)),
        ({"method": "stepwise"}, Stepwise()),
        ({"method": "incremental", "retraining_steps": 3}, Stepwise(retraining_steps=3)),
        ({"method": "searched"}, Searched()),
        ({"method": "rdoq"}, Searched()),
        ({"method": "quinr_pl.codec.rounding.nearest.Nearest", "bits": 3}, Nearest(bits=3)),
        (Nearest(bits=3), Nearest(bits=3)),
    ],
)
def test_a_config_names_a_method_and_its_options(options: Any, expected: Rounding) -> None:
    assert rounding_of(options) == expected
    assert rounding_of(as_options(expected)) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [("nearest", Nearest()), ("compensated", Compensated(rate=5.0)), ("searched", Searched())],
)
def test_configs_that_runs_once_wrote_list_the_options_of_all_methods(
    method: str, expected: Rounding
) -> None:
    assert rounding_of({"method": method, **OLD_DUMP}) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "best"}, "quantization method best: choose from nearest, compensated, gptq, stepwise"),
        ({"rate": 6.0}, r"final \{'rate': 6.0\}: give \{method: NAME, .* nearest, compensated"),
        ({"method": None}, "a method of nearest"),
        (
            {"method": "nearest", "rate": 6.0},
            "^final.rate 6.0: an option of compensated and stepwise, and nearest takes bits, bits_by_tensor, "
            "step_sizes; leave it out or choose another method$",
        ),
        ({"method": "rdoq", "rate": 6.0}, "final.rate 6.0: .*; leave it out"),
        (
            {"method": "gptq", "rat": 6.0},
            "^final.rat 6.0: no such option; gptq takes rate, points, damping, seed$",
        ),
        ({"method": "gptq", "rate": "six"}, "final.rate 'six': must be a number"),
        ({"method": "gptq", "rate": None}, "final.rate None: must be a number"),
        ({"method": "gptq", "points": 2.5}, "final.points 2.5: must be a whole number"),
        ({"method": "nearest", "bits": True}, "final.bits True: must be a whole number"),
        ({"method": "nearest", "bits_by_tensor": 3}, "final.bits_by_tensor 3: must be a mapping"),
        ({"method": "nearest", "step_sizes": {"w": "x"}}, "final.step_sizes.w 'x': must be a number"),
        ({"method": "gptq", "rate": 0}, "final.rate 0.0: must be positive"),
        ({"method": "gptq", "seed": -1}, "final.seed -1: must"),
        ({"method": "stepwise", "retraining_steps": -1}, "final.retraining_steps -1: must"),
        ({"method": "no_such_module.Mine"}, "final.method no_such_module.Mine: cannot import"),
        ({"method": "quinr_pl.network.COIN"}, "final.method quinr_pl.network.COIN: is no Rounding"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(QuinrError, match=said):
        rounding_of(options, "final")


def test_every_class_is_in_the_table_by_its_own_name() -> None:
    for name in ROUNDINGS:
        assert ROUNDINGS[ROUNDINGS[name].method] is ROUNDINGS[name]


def test_flags_set_options_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [
        "--trainer.callbacks=WeightQuantization",
        "--trainer.callbacks.quantization={method: nearest, bits: 6}",
        "--trainer.callbacks.final.method=gptq",
        "--trainer.callbacks.final.rate=16",
        "--trainer.callbacks.init_args.final.damping=5e-2",
    ]
    tiny = ["fit", "--config", str(Path(__file__).parents[2] / "conf" / "tiny.yaml")]
    few = ["--trainer.callbacks+=PSNRCheckpoint", "--trainer.max_steps=2"]
    assert main([*tiny, *flags, *few]) == 0
    kept = yaml.safe_load((tmp_path / "runs/tiny/version_0/config.yaml").read_text())["trainer"]["callbacks"]
    assert kept[0]["init_args"]["final"] == {"method": "gptq", "rate": 16, "damping": 0.05}
    assert kept[0]["init_args"]["quantization"] == {"method": "nearest", "bits": 6}
    assert main([*tiny, *flags, "--trainer.callbacks.final.bits=6", *few]) == 2
    assert "--trainer.callbacks.final.bits 6: an option of nearest" in capsys.readouterr().err
