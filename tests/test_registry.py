"""Tables of entries: own ones by path, registered ones, those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from quinr_pl.errors import QuinrError
from quinr_pl.registry import Registry


@pytest.fixture
def codecs() -> Registry[str, object]:
    return Registry("codec", "quinr_pl.test", {"json": "json:dumps", "missing": "no_such_module:x"})


def test_an_own_entry_is_imported_when_it_is_asked_for(codecs):
    import json

    assert codecs["json"] is json.dumps
    assert list(codecs) == ["json", "missing"]


def test_an_unknown_key_is_refused_with_those_there_are(codecs):
    assert codecs.find("yaml") is None
    assert "yaml" not in codecs
    with pytest.raises(QuinrError, match=r"^codec yaml: choose from json, missing$"):
        codecs["yaml"]


def test_numbered_entries_of_an_installed_package(monkeypatch):
    sections: Registry[int, object] = Registry("section", "quinr_pl.test", {1: "json:dumps"})
    points = [EntryPoint("70", "textwrap:dedent", "quinr_pl.test")]
    monkeypatch.setattr("quinr_pl.registry.entry_points", lambda group: points)
    import textwrap

    assert sections[70] is textwrap.dedent
    misnamed: Registry[int, object] = Registry("section", "quinr_pl.test", {1: "json:dumps"})
    points.append(EntryPoint("mine", "textwrap:dedent", "quinr_pl.test"))
    with pytest.raises(QuinrError, match=r"^section mine: an installed package names it so"):
        list(misnamed)


def test_an_entry_is_registered_once(codecs):
    assert codecs.register("mine", repr) is repr
    assert codecs.register("mine", repr) is repr  # a module may be imported twice
    assert codecs["mine"] is repr
    for key in ("mine", "json"):
        with pytest.raises(QuinrError, match=f"codec {key}: there is one already"):
            codecs.register(key, str)


def test_an_installed_package_offers_entries(codecs, monkeypatch):
    points = [EntryPoint("theirs", "textwrap:dedent", "quinr_pl.test")]
    monkeypatch.setattr("quinr_pl.registry.entry_points", lambda group: points)
    import textwrap

    assert "theirs" in codecs
    assert list(codecs) == ["json", "missing", "theirs"]
    assert codecs["theirs"] is textwrap.dedent
