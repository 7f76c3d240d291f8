"""What is not installed is told in one line that names what to install, by names that the index knows."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from quinr_pl.commands.main import main
from quinr_pl.optional_package import REQUIREMENTS

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("optuna", "search", ["search", "--config", "kodak_search.yaml"]),
        ("ray", "ray", ["compare", "--config", "kodak_rd_quick.yaml", "--executor", "ray"]),
    ],
)
def test_a_missing_package_is_named(package, extra, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)  # an import then fails
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    (requirement,) = EXTRAS[extra]
    assert error.endswith(f"is not installed; pip install '{requirement}'\n")


def test_what_is_asked_for_is_what_the_extras_have():
    assert set(REQUIREMENTS.values()) <= {one for extra in EXTRAS.values() for one in extra}


def test_no_text_sends_anybody_to_the_index_for_this_package():
    folders = ("quinr_pl", "callbacks", "datamodules", "configs", "docs", "benchmarks")
    texts = [path for folder in folders for path in (ROOT / folder).rglob("*.*")]
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *texts]:
        if path.suffix in {".py", ".md", ".yaml"}:
            assert not re.search(r"quinr-pl\[", path.read_text(encoding="utf-8")), path
