"""Which configs are read, and what is said of those that cannot be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from fits import QUICK
from PIL import Image

from quinr_pl.commands.main import main
from quinr_pl.configs.find import PACKAGED_CONFIGS, find_base, find_config, read_text, read_tree
from quinr_pl.errors import QuinrError

TINY = (Path(__file__).parents[1] / "conf" / "tiny.yaml").read_text()
STEPS = ["--trainer.max_steps", "2", "--data.batch_size", "64", "--data.steps_per_epoch", "2"]
SMALL = [
    *STEPS,
    "--model.network.sine_layers",
    "0",
    "--model.network.qubits",
    "2",
    "--model.network.angles",
    "4",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened_while(act, folder: Path) -> set[str]:
    """Names of the folder's files that are opened."""
    names: set[str] = set()
    watching = True

    def hook(event, args):
        if watching and event == "open" and isinstance(args[0], str):
            path = Path(os.path.abspath(args[0]))
            if path.parent == folder:
                names.add(path.name)

    sys.addaudithook(hook)
    try:
        act()
    finally:
        watching = False
    return names


@pytest.mark.parametrize(
    ("flags", "status"),
    [(["--trainer.max_steps", "0"], 2), pytest.param([], 0, marks=pytest.mark.slow)],
    ids=["refused", "fitted"],
)
def test_compress_reads_no_config_that_nobody_named(folder, flags, status):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save("photo.png")
    lying = [
        "compress.yaml",
        "defaults.yaml",
        "kodak.yaml",
        "ImageDataModule",
        "false",
        "auto",
        "soap",
        "fit",
    ]
    for name in lying:
        Path(name).write_text("model: {learning_rate: 77.0, colour: red}\n")
    statuses: list[int] = []
    command = ["compress", "photo.png", "--network", "coordinates", *SMALL, *flags]
    assert not opened_while(lambda: statuses.append(main(command)), folder) & set(lying)
    assert statuses == [status]


def test_what_a_packaged_config_names_is_packaged(folder):
    Path("kodak.yaml").write_text("model: {learning_rate: 77.0}\n")
    packaged = str(PACKAGED_CONFIGS / "kodak.yaml")
    assert find_base("kodak.yaml", str(PACKAGED_CONFIGS / "kodak_rd.yaml")) == packaged
    assert find_base("kodak.yaml", str(folder / "mine.yaml")) == "kodak.yaml"


def test_a_local_config_that_shadows_a_packaged_one_is_named(capsys):
    assert find_config("sample.yaml") == str(PACKAGED_CONFIGS / "sample.yaml")
    assert capsys.readouterr().err == ""
    Path("sample.yaml").write_text(TINY)
    assert find_config("sample.yaml") == "sample.yaml"
    assert "sample.yaml: the file in this folder is read" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_read(encoding):
    Path("c.yaml").write_bytes((TINY + "# Größe\n").encode(encoding))
    assert read_tree(read_text("c.yaml"), "c.yaml") == read_tree(TINY, "tiny.yaml")


def test_a_config_in_utf16_fits():
    Path("c.yaml").write_bytes(TINY.encode("utf-16"))
    assert main(["fit", "--config", "c.yaml", *QUICK, "--trainer.max_steps", "2"]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("# Größe\nmodel: {}\n".encode("latin-1"), "not text in UTF-8 (byte 4)"),
        (b"", "it is empty"),
        (b"# nothing\n", "it is empty"),
        (b"- 1\n- 2\n", "it holds a list"),
        (b"just words", "it holds a str"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not text in UTF-8"),
        (b"model:\0", "not YAML"),
        (b"model: [", "not YAML"),
        (b"model:\n\tlearning_rate: 1\n", "cannot start any token"),
        (b"trainer: {max_steps: 1}\nmodel: {}\ntrainer: {}\n", "key trainer comes twice"),
        (b"trainer:\n  max_steps: 1\n  max_steps: 2\n", "key max_steps comes twice"),
        (b"1: 2\n", "the key 1 is no name"),
        (b"? [a, b]\n: 2\n", "not YAML"),
        (b"a: &a [*a]\n" + b"[" * 3000, "--config c.yaml"),
    ],
)
def test_a_config_that_is_none_ends_in_one_line(content, said, capsys):
    Path("c.yaml").write_bytes(content)
    for command in ("fit", "search", "compare"):
        assert main([command, "--config", "c.yaml"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("quinr-pl: error: --config c.yaml: ")
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["folder", "no\0name", "a" * 300, "missing/sample.yaml", ""])
def test_no_config_of_that_name(name, capsys):
    Path("folder").mkdir()
    assert main(["fit", "--config", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"quinr-pl: error: --config {name}: ")
    assert error.count("\n") == 1


def test_a_folder_hides_no_packaged_config():
    Path("sample.yaml").mkdir()
    assert find_config("sample.yaml") == str(PACKAGED_CONFIGS / "sample.yaml")


def test_merged_anchors_are_no_double_keys():
    tree = read_tree("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {<<: *a}\n", "c.yaml")
    assert tree["b"] == {"x": 3, "y": 2}


def test_numbers_are_those_of_yaml_1_2():
    tree = read_tree("a: 1e2\nb: 2e-3\nc: 1.5E3\nd: -4e+1\ne: e5", "c.yaml")
    assert tree == {"a": 100.0, "b": 0.002, "c": 1500.0, "d": -40.0, "e": "e5"}


def test_recursive_yaml_is_refused():
    with pytest.raises(QuinrError, match="nested too deeply"):
        read_tree("a: " + "[" * 5000 + "]" * 5000, "c.yaml")
