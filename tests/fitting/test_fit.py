from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from skimage.metrics import peak_signal_noise_ratio

from quinr_pl.codec import decompress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.fit_configs import merge_fits, read_fit_config
from quinr_pl.fitting import fit
from quinr_pl.fitting.cli import read_settings
from quinr_pl.module import CoordinateNetworkModule

TINY = Path(__file__).parents[1] / "conf" / "tiny.yaml"
NEAREST = {"method": "nearest", "bits": 5}


@pytest.fixture
def config():
    return yaml.safe_load(TINY.read_text()) | {"quantization": NEAREST}


def test_figures_are_those_of_the_file(config, tmp_path, monkeypatch, one_thread):
    given = copy.deepcopy(config)
    result = fit(config, tmp_path / "run")
    assert config == given
    data = SampleDataModule(longer_side=24)
    data.setup()
    decoded = decompress(result.path.read_bytes())
    assert result.psnr == pytest.approx(peak_signal_noise_ratio(data.values, decoded, data_range=255))
    assert result.bytes == result.path.stat().st_size
    assert result.bpp == 8 * result.bytes / (24 * 24)
    monkeypatch.setattr(CoordinateNetworkModule, "training_step", None)
    assert fit(config, tmp_path / "run") == result  # finished: not fitted again
    with pytest.raises(QuinrError, match="training_step"):
        fit(config, tmp_path / "another")


def test_a_fit_goes_on_where_it_was_interrupted(config, tmp_path, monkeypatch, one_thread):
    whole = fit(config, tmp_path / "whole")
    step = CoordinateNetworkModule.training_step
    with monkeypatch.context() as patch:

        def interrupted(self, batch, index):
            if self.global_step == 7:
                raise RuntimeError("a fault")
            return step(self, batch, index)

        patch.setattr(CoordinateNetworkModule, "training_step", interrupted)
        with pytest.raises(QuinrError, match="a fault"):
            fit(config, tmp_path / "parts")
    assert fit(config, tmp_path / "parts", name="other").path.name == "other.quinr"
    assert (tmp_path / "parts" / "other.quinr").read_bytes() == whole.path.read_bytes()


def test_flags_of_the_quantizer_make_the_file_of_its_key(config, tmp_path, one_thread):
    result = fit(config, tmp_path / "python")
    flags = ["--quantization.method=nearest", "--quantization.bits=5", "--trainer.logger=false"]
    command = ["fit", "--config", str(TINY), *flags, f"--trainer.default_root_dir={tmp_path / 'cli'}"]
    assert main(command) == 0
    assert (tmp_path / "cli" / "astronaut.quinr").read_bytes() == result.path.read_bytes()
    callbacks = ["quinr_pl.callbacks.WeightQuantization", "quinr_pl.callbacks.PSNRCheckpoint"]
    old = [{"class_path": path} for path in callbacks]
    old[0]["init_args"] = {"quantization": {"method": "nearest", "bits": 12}, "final": NEAREST}
    config["trainer"]["callbacks"], config["quantization"] = old, None
    assert fit(config, tmp_path / "old").path.read_bytes() == result.path.read_bytes()


def test_the_last_config_that_names_a_quantizer_counts(tmp_path):
    quantizer = {"class_path": "WeightQuantization", "init_args": {"final": {"method": "nearest", "bits": 9}}}
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(yaml.safe_dump({"trainer": {"callbacks": [quantizer, "PSNRCheckpoint"]}}))
    new.write_text(yaml.safe_dump({"quantization": NEAREST}))
    for configs, key in (([old, new], NEAREST), ([new, old], None), ([old, new, old], None)):
        settings = read_settings([f"--config={path}" for path in (TINY, *configs)])
        assert settings["quantization"] == key
    assert read_fit_config(str(new))["quantization"] == NEAREST
    assert "quantization" not in merge_fits(read_fit_config(str(new)), yaml.safe_load(old.read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantization": {"method": "closest"}}, "closest"),
        ({"trainer": {"max_steps": 0}}, "--trainer.max_steps 0"),
        ({"trainer": {"max_steps": 1, "fast_dev_run": True}}, "the fit left no file"),
        ({"trainer": {"max_steps": 1, "callbacks": []}}, "without WeightQuantization no file is made"),
        ({"model": {"network": {"class_path": "no_lab.Net"}}}, "no_lab"),
    ],
)
def test_what_leaves_no_file_is_refused(config, tmp_path, change, message):
    with pytest.raises(QuinrError, match=message) as caught:
        fit(config | change, tmp_path)
    assert "\n" not in str(caught.value)
