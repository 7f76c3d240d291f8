"""What tests of studies share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE


@pytest.fixture
def figures(tmp_path: Path, monkeypatch) -> Callable[[Callable[[list[str]], None]], dict[str, Any]]:
    """Runs the quick form of a study on packaged data, and reads the data that it wrote."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)

    def run(main):
        data, plot = tmp_path / "data.json", tmp_path / "plot.png"
        main(["--quick", "--folder", str(tmp_path / "fits"), "--data", str(data), "--plot", str(plot)])
        assert plot.stat().st_size > 1000
        return json.loads(data.read_text())

    return run
