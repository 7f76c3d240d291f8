from __future__ import annotations

import signal

import pytest

from quinr_pl.commands import kept_run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Every run happens in a folder of its own, and keeps what it keeps in another."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(kept_run, "cache_root", lambda: tmp_path / "cache")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under nohup
    yield here
    signal.signal(signal.SIGINT, before)  # Lightning ignores it once it was interrupted
