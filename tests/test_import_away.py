"""Libraries that read settings from the current folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from quinr_pl.import_away import import_away
from quinr_pl.signals.drawing import false_colours


def test_a_library_does_not_see_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "sees.py").write_text("import os\nfolder = os.getcwd()\n")
    monkeypatch.syspath_prepend(str(tmp_path / "outside"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "sees", raising=False)
    assert Path(import_away("sees").folder) != tmp_path
    assert Path.cwd() == tmp_path


def test_pictures_of_a_fit_leave_the_current_folder_alone(monkeypatch):
    false_colours(np.zeros((2, 2)))  # imports matplotlib

    def moved(*_):
        raise AssertionError("threads that write to relative paths would lose their files")

    monkeypatch.setattr(os, "chdir", moved)
    assert false_colours(np.ones((2, 2))).shape == (2, 2, 3)
