from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from quinr_pl.codec import inspect
from quinr_pl.commands.main import main
from quinr_pl.configs.find import PACKAGED_CONFIGS, packaged_config
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.comparison import Comparison, reconstruct
from quinr_pl.experiments.fit_configs import data_module_of, network_class
from quinr_pl.experiments.methods.twin import nearest_siren
from quinr_pl.experiments.trees import merge
from quinr_pl.file_lock import locked_folder
from quinr_pl.network import NETWORKS

TINY = """
folder: {folder}
processes: 1
data: {{class_path: SampleDataModule, init_args: {{longer_side: 16}}}}
images: [{{image: coffee}}]
anchors: [JPEG2000]
methods:
  quINR:
    kind: fit
    base: sample.yaml
    fit:
      model: {{network: {{init_args: {{qubits: 2, angles: 4, sine_layers: 1, sine_width: 4}}}}}}
      trainer: {{max_steps: 4}}
      quantization: {{method: nearest, bits: 8}}
      data: {{init_args: {{batch_size: 64, steps_per_epoch: 2}}}}
    points:
      small: {{model: {{network: {{init_args: {{uploads: 1}}}}}}}}
      large: {{model: {{network: {{init_args: {{uploads: 2}}}}}}}}
  SIREN twin: {{kind: twin, of: quINR, layers: 2}}
  COIN as published: {{kind: coin, settings: {{steps: 4}}, points: {{2x4: {{layers: 2, width: 4}}}}}}
  JPEG2000: {{kind: jpeg2000, points: [1, 4]}}
"""


def read(text: str) -> Comparison:
    return Comparison.read(text, "c.yaml", lambda name: str(packaged_config(name)))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of every kind of method that has run from the command line."""
    root = tmp_path_factory.mktemp("compare")
    config = root / "tiny.yaml"
    config.write_text(TINY.format(folder=root / "runs"))
    assert main(["compare", "--config", str(config)]) == 0
    return config, root / "runs"


def table(folder: Path) -> list[dict[str, str]]:
    rows = csv.DictReader((folder / "report" / "results.csv").read_text().splitlines())
    return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in rows]


def test_report_holds_every_job(compared):
    _, folder = compared
    rows = table(folder)
    assert [row["method"] for row in rows] == [
        "quINR",
        "quINR",
        "SIREN twin",
        "SIREN twin",
        "COIN as published",
        "JPEG2000",
        "JPEG2000",
    ]
    assert all((folder / row["file"]).stat().st_size == int(row["bytes"]) for row in rows)
    assert float(rows[0]["bpp"]) == 8 * int(rows[0]["bytes"]) / (11 * 16)
    for name in ("index.html", "results.json", "coffee.svg", "coffee.png"):
        assert (folder / "report" / name).stat().st_size > 0
    assert any((folder / "report" / "tensorboard").rglob("events.*"))


def test_finished_comparison_only_reports(compared, capsys):
    config, folder = compared
    before = table(folder)
    assert main(["compare", "--config", str(config)]) == 0
    assert "7 of 7 jobs have their result already" in capsys.readouterr().out
    assert table(folder) == before


def test_command_of_a_point_makes_its_file_again(compared, tmp_path, one_thread):
    _, folder = compared
    row = table(folder)[0]
    arguments = row["command"].split()[1:]
    arguments[-1] = str(tmp_path)
    assert main(arguments) == 0
    assert (tmp_path / "coffee.quinr").read_bytes() == (folder / row["file"]).read_bytes()


def test_verify_finds_altered_and_missing_files(compared, capsys):
    config, folder = compared
    assert main(["compare", "--config", str(config), "--verify"]) == 0
    assert "7 of 7 files decoded again, 0 findings" in capsys.readouterr().out
    rows = table(folder)
    first, last = (folder / rows[index]["file"] for index in (0, -1))
    kept = first.read_bytes(), last.read_bytes()
    first.write_bytes(kept[0][:-1])
    last.unlink()
    try:
        assert main(["compare", "--config", str(config), "--verify"]) == 1
    finally:
        first.write_bytes(kept[0])
        last.write_bytes(kept[1])
    printed = capsys.readouterr().out
    assert printed.count("WRONG") == 1
    assert "missing coffee JPEG2000 4" in printed
    last.unlink()
    assert main(["compare", "--config", str(config)]) == 0  # is made again
    assert last.read_bytes() == kept[1]


PICTURES = """
folder: {folder}
processes: 1
data: {{class_path: SampleDataModule, init_args: {{longer_side: 60}}}}
images: [{{image: coffee}}]
methods:
  WebP: {{kind: webp, points: [2, 4]}}
  AVIF: {{kind: avif, points: [4]}}
"""


def test_webp_and_avif(tmp_path):
    config = tmp_path / "pictures.yaml"
    config.write_text(PICTURES.format(folder=tmp_path / "runs"))
    assert main(["compare", "--config", str(config)]) == 0
    rows = table(tmp_path / "runs")
    assert [row["method"] for row in rows] == ["WebP", "WebP", "AVIF"]
    assert all(float(row["bpp"]) <= float(row["point"]) for row in rows)
    assert float(rows[1]["psnr"]) > float(rows[0]["psnr"])
    assert main(["compare", "--config", str(config), "--verify"]) == 0


SCAN = """
folder: {folder}
processes: 1
data: {{class_path: SyntheticScanDataModule, init_args: {{height: 64, width: 128, dropout: 0.9}}}}
images: [{{scene: 0}}]
methods:
  JPEG2000: {{kind: jpeg2000, points: [1, 2, 3]}}
  JPEG2000 with mask: {{kind: jpeg2000, settings: {{mask: true}}, points: [1, 2, 3]}}
"""


@pytest.mark.slow
def test_jpeg2000_with_our_mask(tmp_path, capsys):
    config = tmp_path / "scan.yaml"
    config.write_text(SCAN.format(folder=tmp_path / "runs"))
    assert main(["compare", "--config", str(config)]) == 0
    rows = table(tmp_path / "runs")
    plain, masked = rows[:3], rows[3:]
    # Empty pixels among the others are what a wavelet codes worst.
    assert all(float(m["psnr"]) > float(p["psnr"]) + 1 for p, m in zip(plain[1:], masked[1:], strict=True))
    assert all(float(row["bpp"]) <= float(row["point"]) * 1.02 for row in masked)
    assert main(["compare", "--config", str(config), "--verify"]) == 0
    counts = {8 * int(row["bytes"]) / float(row["bits_per_point"]) for row in rows}
    assert (
        max(counts) == pytest.approx(min(counts)) == pytest.approx(round(min(counts)))
    )  # points of the scan
    for figure, sign in (("chamfer", -1), ("d1_psnr", 1), ("d2_psnr", 1), ("f1", 1)):
        # Pixels taken for points hang before the scanner.
        gains = [sign * (float(m[figure]) - float(p[figure])) for m, p in zip(masked, plain, strict=True)]
        assert min(gains[1:]) > 0, figure
    for quality in ("psnr_valid", "rmse_valid", "chamfer", "d1_psnr", "d2_psnr"):
        assert (tmp_path / "runs" / "report" / f"street-0_{quality}.png").is_file()
    page = (tmp_path / "runs" / "report" / "index.html").read_text()
    assert page.count("<svg") == 6
    assert "D1 PSNR (dB)" in page
    text = TINY.replace("points: [1, 4]", "points: [1], settings: {{mask: true}}").format(
        folder=tmp_path / "b"
    )
    config.write_text(text)
    assert main(["compare", "--config", str(config), "--methods", "JPEG2000"]) == 2
    printed = capsys.readouterr()
    assert "coffee is no range image" in " ".join(printed.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "no.yaml"], "no.yaml: no such file"),
        (["--methods", "JPEG"], "--methods JPEG: the comparison has quINR, SIREN twin"),
        (["--images", "lena"], "--images lena: the comparison has coffee"),
        (["--processes", "0"], "--processes 0"),
        (["--seeds", "-1"], "--seeds [-1]: must be a list of one or more, each a whole number from 0"),
        (["--processes", "two"], "invalid int value"),
        (["--folder", "nowhere", "--report-only"], "--folder nowhere: no finished job there"),
    ],
)
def test_bad_flags(compared, arguments, message, capsys):
    config, _ = compared
    assert main(["compare", "--config", str(config), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folders": "x"}, "unknown key folders"),
        ({"images": []}, "key images is missing"),
        (
            {"methods": {"x": {"kind": "png"}}},
            "method x is of kind png; choose from fit, twin, jpeg2000, webp, avif, opus, coin",
        ),
        ({"methods": {"x": {"kind": "jpeg2000"}}}, "method x: its description is not complete"),
        ({"methods": {"x": {"kind": "twin", "of": "y", "layers": 2}}}, "method x: its description"),
        ({"methods": {"x": {"kind": "fit", "fit": {}}}}, "method x: its description"),
        ({"methods": {"x": None}}, "method x is of kind None"),
        ({"methods": {"..": {"kind": "jpeg2000", "points": [1]}}}, "it names a folder"),
        (
            {"methods": {1: {"kind": "jpeg2000", "points": [1]}, "1": {}}},
            "twice",
        ),
        ({"methods": {"x": {"kind": "jpeg2000", "points": [1, 1.0]}}}, "points: 1, 1: a name is there twice"),
        ({"methods": {"x": {"kind": "coin", "points": {1: {}, "1": {}}}}}, "twice"),
        ({"images": [{"image": "coffee"}, {"image": "coffee"}]}, "coffee .*: is there twice"),
        ({"seeds": 3}, "seeds 3: must be a list of one or more, each a whole number from 0 to 4294967295"),
        ({"seeds": [-1]}, r"seeds \[-1\]: must be a list"),
        ({"processes": 2.5}, "processes 2.5: must be a whole number of at least 1"),
        ({"crop": [-3, 5]}, "must be a list of 2, each a whole number of at least 1"),
        ({"methods": {"x": {"kind": "jpeg2000", "points": [0]}}}, "points 0: must be a positive number"),
        ({"methods": {"x": {"kind": "webp", "points": [-1]}}}, "points -1: must be a positive number"),
        ({"seeds": [1, 1]}, "seed 1: is there twice"),
        ({"data": {"class_path": "Nothing"}}, "data.class_path Nothing: no such class"),
        ({"data": {"class_path": "nolab.SampleDataModule"}}, "nolab.SampleDataModule: cannot import nolab"),
        ({"data": {"class_path": "quinr_pl.network.COIN"}}, "is no CoordinateDataModule"),
        ({"images": [{"picture": "coffee"}]}, "unexpected keyword argument 'picture'"),
    ],
)
def test_bad_configs(change, message):
    text = yaml.safe_dump({**yaml.safe_load(TINY.format(folder="x")), **change})
    with pytest.raises(QuinrError, match=message) as caught:
        read(text).jobs()
    assert "\n" not in str(caught.value)


OWN = """
import numpy as np
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.datamodules.coordinate_datamodule import Signal
from quinr_pl.experiments.methods.method import Method
from quinr_pl.network import COIN, NETWORKS

class Sines(COIN):
    CODE = 77

NETWORKS.register(77, Sines)

class KodakDataModule(SampleDataModule):
    def read(self):
        signal = super().read()
        return Signal(255 - signal.values, signal.spec, signal.valid)

class MeanColour(Method):
    random = False

    def points(self, description, methods, data):
        return {"one": {"cost": 1.0}}

    def encode(self, job, data, folder, tell):
        path = folder / "mean.bin"
        path.write_bytes(data.values.mean((0, 1)).astype(np.uint8).tobytes())
        return path, {}

    def decode(self, job, data, encoded):
        return np.broadcast_to(np.frombuffer(encoded, np.uint8), data.values.shape)
"""


def test_classes_of_a_users_own(tmp_path, monkeypatch):
    (tmp_path / "compared_lab.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(NETWORKS, "_loaded", dict(NETWORKS._loaded))
    tree = yaml.safe_load(TINY.format(folder=tmp_path / "runs"))
    tree["data"]["class_path"] = "compared_lab.KodakDataModule"  # not ours of that name
    tree["methods"]["mean"] = {"kind": "compared_lab.MeanColour"}
    sines = {"class_path": "compared_lab.Sines", "init_args": {"layers": 2, "width": 4}}
    fit = {"model": {"network": sines}, "trainer": {"max_steps": 2}, "quantization": {"method": "nearest"}}
    tree["methods"]["sines"] = {"kind": "fit", "base": "sample.yaml", "fit": fit}
    config = tmp_path / "own.yaml"
    config.write_text(yaml.safe_dump(tree))
    arguments = ["compare", "--config", str(config), "--methods", "JPEG2000", "mean", "sines"]
    assert main(arguments) == 0
    assert main([*arguments, "--verify"]) == 0
    rows = {row["method"]: row for row in table(tmp_path / "runs")}
    assert rows["mean"]["bytes"] == "3"
    encoded = (tmp_path / "runs" / rows["sines"]["file"]).read_bytes()
    assert inspect(encoded)["network"] == "Sines"
    ours = SampleDataModule("coffee", longer_side=16)
    ours.setup()
    job = next(job for job in read(config.read_text()).jobs() if job.method == "JPEG2000")
    data, decoded, points = reconstruct(job, tmp_path / "runs" / job.folder, "coffee.j2k")
    assert (data.values == 255 - ours.values).all()
    assert np.abs(data.values - decoded.astype(float)).mean() < 40
    assert points is None


def test_not_yaml():
    with pytest.raises(QuinrError, match=r"c\.yaml: not YAML"):
        read("a: [")
    with pytest.raises(QuinrError, match=r"c\.yaml: not a mapping"):
        read("- a")


@pytest.mark.slow
def test_two_parents_do_not_share_a_folder(compared, capsys):
    config, folder = compared
    with locked_folder(folder, "--folder"):
        command = [sys.executable, "-m", "quinr_pl", "compare", "--config", str(config)]
        other = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert other.returncode == 2
    assert re.fullmatch(
        rf"quinr-pl: error: --folder .*: process {os.getpid()} is at work there; .*\n", other.stderr
    )


def test_twin_has_as_many_parameters():
    for parameters in (100, 500, 1659, 5000):
        for layers in (3, 5):
            count = nearest_siren(parameters, 3, layers).parameter_count()
            others = [nearest_siren(count, 3, layers).output.in_features + step for step in (-1, 1)]
            assert abs(count - parameters) / parameters < 0.12
            assert len(set(others)) == 2


def test_another_class_starts_without_the_arguments_of_the_old_one():
    base = {"network": {"class_path": "quinr_pl.network.QuINR", "init_args": {"qubits": 4}}, "rate": 1}
    assert merge(base, {"network": {"class_path": "COIN", "init_args": {"width": 3}}}) == {
        "network": {"class_path": "COIN", "init_args": {"width": 3}},
        "rate": 1,
    }
    stepwise = {"quantization": {"method": "stepwise", "rate": 6}}
    nearest = {"quantization": {"method": "nearest", "bits": 8}}
    assert merge(stepwise, nearest) == nearest
    assert merge(base, {"network": {"init_args": {"angles": 2}}})["network"]["init_args"] == {
        "qubits": 4,
        "angles": 2,
    }


def lay_input_of(name):
    """What a comparison names as an example of the user's own file."""
    if name == "audio_rd.yaml":
        pytest.importorskip("soundfile").write("speech.wav", np.sin(np.arange(2000) / 10), 8000)
    elif name == "volume_rd.yaml":
        nibabel = pytest.importorskip("nibabel")
        volume = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), "anatomical.nii")


@pytest.mark.parametrize("name", [path.name for path in PACKAGED_CONFIGS.glob("*_rd*.yaml")])
def test_packaged_comparisons_make_jobs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_input_of(name)
    comparison = read((PACKAGED_CONFIGS / name).read_text())
    jobs = comparison.jobs()
    assert len({job.folder for job in jobs}) == len(jobs)
    assert set(comparison.anchors) <= set(comparison.methods)
    assert {job.method for job in jobs} == set(comparison.methods)
    for fit in (job.settings["fit"] for job in jobs if "fit" in job.settings):
        # Else the fit would be refused.
        assert network_class(fit).whole_signal == (data_module_of(fit["data"]).batch_size is None)
