"""Audio from files and to files, measured as people in audio do, through every command."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fits import QUICK
from processes import COMMAND, completed
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from quinr_pl.baselines.opus import Opus
from quinr_pl.codec import decode, decompress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import read_signal
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ARRAY, AUDIO, SignalSpec

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")

RATE, SAMPLES = 16_000, 1500
LATENTS = ["--config", "audio.yaml", *QUICK, "--trainer.max_steps", "30", "--data.steps_per_epoch", "30"]
LATENTS += ["--model.network.grids", "3", "--model.network.context_width", "4", "--model.warmup_steps", "2"]


def chirp(channels: int = 1) -> np.ndarray:
    time = np.linspace(0, 1, SAMPLES)
    left = 0.6 * np.sin(60 * time + 300 * time**2) * np.exp(-2 * time)
    return np.stack([left, 0.3 * np.sin(90 * time)], axis=1)[:, :channels].astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("speech.wav", chirp(), RATE, subtype="PCM_16")
    return tmp_path


@pytest.mark.parametrize(
    ("suffix", "format_"),
    [
        *((".wav", format_) for format_ in ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE")),
        *((".flac", format_) for format_ in ("PCM_16", "PCM_24", "PCM_S8")),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_survive_reading_and_writing(suffix, format_, channels):
    soundfile.write(f"a{suffix}", chirp(channels), RATE, subtype=format_)
    signal = read_signal(Path(f"a{suffix}"))
    values, spec = signal.values, signal.spec
    assert spec.kind is AUDIO
    assert spec.attributes == {"sampling_rate": RATE, "sample_format": format_}
    assert (spec.low, spec.high) == pytest.approx((values.min(), values.max()), rel=1e-7)
    decoded = spec.denormalize(spec.normalize(values))
    path = Path(f"back{suffix}")
    spec.kind.write(decoded, path, spec.attributes)
    again = soundfile.info(path)
    assert (again.samplerate, again.channels, again.subtype) == (RATE, channels, format_)
    back = read_signal(path).values
    np.testing.assert_array_equal(back, decoded)
    np.testing.assert_allclose(back, values, atol=2e-7)


@pytest.mark.parametrize(("suffix", "format_"), [(".wav", "PCM_U8"), (".flac", "PCM_24")])
def test_a_format_that_the_file_does_not_have_gives_way(suffix, format_):
    given = {"sampling_rate": 8000, "sample_format": "PCM_S8" if suffix == ".wav" else "FLOAT"}
    AUDIO.write(chirp(), Path(f"a{suffix}"), given)
    assert soundfile.info(f"a{suffix}").subtype == format_
    np.testing.assert_allclose(read_signal(Path(f"a{suffix}")).values, chirp(), atol=1 / 128)


def test_what_flac_cannot_hold_is_refused():
    for spec, message in [
        (SignalSpec(AUDIO, (5,), 9, -1.0, 1.0), "9 channels do not fit"),
        (SignalSpec(AUDIO, (5,), 1, -1.0, 1.5), "beyond FLAC's full scale"),
    ]:
        with pytest.raises(QuinrError, match=message):
            spec.kind.check_file(".flac", spec.channels, spec.high)
        spec.kind.check_file(".wav", spec.channels, spec.high)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"RIFF\x04\0\0\0WAVE", "cut or no audio"), (b"no audio at all", "cut or no")],
)
def test_broken_files_are_refused_in_one_line(content, message, capsys):
    Path("a.wav").write_bytes(content)
    assert main(["compress", "a.wav"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("quinr-pl: error: a.wav: ")
    assert message in error
    assert error.count("\n") == 1


def test_empty_and_infinite_audio_is_refused():
    soundfile.write("empty.wav", np.zeros((0, 1)), RATE)
    soundfile.write("nan.wav", np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(QuinrError, match=r"empty.wav: holds no sample"):
        read_signal(Path("empty.wav"))
    with pytest.raises(QuinrError, match=r"nan.wav: element \(1, 0\) is nan"):
        read_signal(Path("nan.wav"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(QuinrError, match=r"speech.wav: soundfile is not installed; pip install 'soundfile>="):
        read_signal(Path("speech.wav"))


@pytest.mark.parametrize("channels", [1, 2])
def test_figures_are_those_of_torchmetrics(channels):
    values = chirp(channels)
    decoded = 0.8 * values + np.random.default_rng(0).normal(0, 0.02, values.shape).astype(np.float32)
    figures = AUDIO.measure(values, decoded, 1.0, None)
    given, target = (torch.from_numpy(array).double() for array in (decoded, values))
    snr = signal_noise_ratio(given.flatten(), target.flatten())
    si_sdr = scale_invariant_signal_distortion_ratio(given.T, target.T).mean()
    assert figures == pytest.approx({"snr": float(snr), "si_sdr": float(si_sdr)}, abs=1e-6)
    assert figures.keys() | AUDIO.rates(100, 800, {"sampling_rate": 8000}).keys() == AUDIO.figures.keys()
    assert AUDIO.rates(100, 800, {"sampling_rate": 8000}) == {"kbit_per_second": 8.0}
    assert AUDIO.measure(np.zeros((3, 1)), np.ones((3, 1)), 1.0, None) == {}
    assert AUDIO.measure(values, values, 1.0, None)["snr"] == math.inf
    silence = AUDIO.measure(values, 0 * values, 1.0, None)
    assert silence == pytest.approx({"snr": 0.0, "si_sdr": -math.inf}, abs=1e-9)


def test_it_is_drawn_over_time():
    spec = SignalSpec(AUDIO, (5000,), 2, -1.0, 1.0)
    picture = spec.picture(np.linspace(-1, 1, 10_000, dtype=np.float32).reshape(5000, 2))
    assert picture.shape == (2 * 128, 1024, 3)
    dark = picture[:128, :, 0] < 128
    heights = np.argmax(dark, axis=0)  # rows from the top of a ramp that rises
    assert heights[0] > 125 > 2 > heights[-1]
    assert (np.diff(heights) <= 0).all()


def test_compress_and_decompress_in_a_new_process(capsys, folder):
    assert main(["compress", "speech.wav", "--json", *LATENTS]) == 0
    figures = json.loads(capsys.readouterr().out)
    size = Path("speech.quinr").stat().st_size
    completed([*COMMAND, "decompress", "speech.quinr", "-o", "back.wav"], cwd=folder)
    original, back = (soundfile.read(name)[0] for name in ("speech.wav", "back.wav"))
    noise = np.mean((original - back) ** 2)
    assert figures["bytes"] == size
    assert figures["snr"] == pytest.approx(10 * np.log10(np.mean(original**2) / noise), abs=1e-3)
    assert figures["psnr"] == pytest.approx(10 * np.log10(np.ptp(original) ** 2 / noise), abs=1e-3)
    assert figures["kbit_per_second"] == pytest.approx(8 * size * RATE / SAMPLES / 1000)
    assert soundfile.info("back.wav").samplerate == RATE
    capsys.readouterr()
    assert main(["inspect", "speech.quinr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["kind"], shown["shape"], shown["sampling_rate"]) == ("audio", [SAMPLES, 1], RATE)


def test_stereo_of_a_size_on_coordinates(capsys):
    soundfile.write("speech.flac", chirp(2), RATE)
    flags = ["--config", "compress_coordinates.yaml", *QUICK, "--trainer.max_steps", "20"]
    flags += ["--data.steps_per_epoch", "20", "--data.batch_size", "256"]
    assert main(["compress", "speech.flac", "--bytes", "500", *flags]) == 0
    assert "bits/sample, " in capsys.readouterr().out
    decoded = decode(Path("speech.quinr").read_bytes())
    assert decoded.network.in_features == 1
    assert decoded.reconstruct().shape == (SAMPLES, 2)
    assert 400 < Path("speech.quinr").stat().st_size <= 500
    assert main(["decompress", "speech.quinr", "--overwrite"]) == 0
    assert soundfile.info("speech.wav").channels == 2


def test_fit_says_the_ratio_and_draws(capsys):
    network = ["--model.network", "COIN", "--model.network.layers", "2", "--model.network.width", "6"]
    flags = ["--config", "audio.yaml", *QUICK, *network, "--data.batch_size", "128"]
    flags += ["--trainer.max_steps", "4", "--data.steps_per_epoch", "4", "--data.path", "speech.wav"]
    flags += ["--trainer.log_every_n_steps", "2"]
    assert main(["fit", *flags]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    result = json.loads(Path("runs/audio/version_0/result.json").read_text())
    assert f"SNR {result['snr']:.2f} dB, {result['kbit_per_second']:.2f} kbit/s" in line
    assert f"{result['bpp']:.4f} bits/sample" in line


def test_from_standard_input(monkeypatch, capsysbinary):
    class Pipe(io.BytesIO):
        def isatty(self):
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(Path("speech.wav").read_bytes())))
    assert main(["compress", "-", *LATENTS]) == 0
    assert decompress(capsysbinary.readouterr().out).shape == (SAMPLES, 1)


@pytest.mark.slow
def test_compare_with_twins_and_opus():
    fit = {
        "trainer": {
            "max_steps": 4,
            "callbacks": yaml.safe_load(Path(QUICK[1]).read_text())["trainer"]["callbacks"],
        },
        "data": {"init_args": {"steps_per_epoch": 4}},
    }
    smaller = {"model": {"network": {"init_args": {"grids": 3, "context_width": 4}}}}
    few = {"data": {"init_args": {"batch_size": 128}}}
    comparison = {
        "folder": "compared",
        "data": {"class_path": "ImageDataModule"},
        "images": [{"path": "speech.wav"}],
        "processes": 1,
        "anchors": ["Opus"],
        "methods": {
            "quINR": {"kind": "fit", "base": "audio.yaml", "fit": fit, "points": {"one": smaller}},
            "coordinates": {
                "kind": "fit",
                "base": "compress_coordinates.yaml",
                "fit": {**fit, "quantization": {"method": "nearest"}, "data": few["data"]},
                "points": {"one": {"model": {"network": {"init_args": {"sine_layers": 1}}}}},
            },
            "SIREN twin": {"kind": "twin", "of": "coordinates", "layers": 2},
            "Opus": {"kind": "opus", "points": [2, 4]},
        },
    }
    Path("compare.yaml").write_text(yaml.safe_dump(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    rows = json.loads(Path("compared/report/results.json").read_text())["rows"]
    by_method = {row["method"]: row for row in rows}
    assert by_method.keys() == set(comparison["methods"])
    assert all(math.isfinite(row["snr"]) and row["kbit_per_second"] > 0 for row in rows)
    parameters = [by_method[name]["parameters"] for name in ("coordinates", "SIREN twin")]
    assert abs(math.log(parameters[0] / parameters[1])) < 0.05
    page = Path("compared/report/index.html").read_text()
    assert "SNR (dB)" in page
    assert "bits per sample" in page
    assert main(["compare", "--config", "compare.yaml", "--verify"]) == 0


def test_opus_gives_the_best_within_a_size_and_refuses_other_signals():
    signal = read_signal(Path("speech.wav"))
    small, large = (Opus().encode(signal.values, signal.spec, bpp) for bpp in (4.0, 6.0))
    assert len(small) < len(large) <= 6 * SAMPLES / 8
    assert large.startswith(b"OggS")
    decoded = Opus().decode(large, signal.spec)
    assert decoded.shape == signal.values.shape
    assert AUDIO.measure(signal.values, decoded, 1.0, None)["snr"] > 10
    for spec, message in [
        (SignalSpec(AUDIO, (9,), 1, -1.0, 1.0, attributes={"sampling_rate": 44100}), "audio at 44100 Hz"),
        (SignalSpec(ARRAY, (2, 2), 1, 0.0, 1.0), "not array"),
    ]:
        with pytest.raises(QuinrError, match=message):
            Opus().encode(signal.values, spec, 1.0)
