from __future__ import annotations

import pytest
from pytorch_lightning.callbacks import Callback, LearningRateMonitor

from quinr_pl.class_paths import class_path, find_class, same_class
from quinr_pl.datamodules import CoordinateDataModule, KodakDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, Network

MODULE = """
from quinr_pl.datamodules import SampleDataModule

class KodakDataModule(SampleDataModule):
    pass
"""


@pytest.fixture
def mylab(tmp_path, monkeypatch):
    """A module of a user's that has a class of one of ours' name."""
    (tmp_path / "own_lab.py").write_text(MODULE)
    (tmp_path / "broken_lab.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_path_leads_to_its_own_class(mylab):
    import own_lab

    def found(path):
        return find_class(path, CoordinateDataModule, "data")

    assert found("own_lab.KodakDataModule") is own_lab.KodakDataModule
    assert found("quinr_pl.datamodules.kodak.KodakDataModule") is KodakDataModule
    assert found("KodakDataModule") is KodakDataModule


def test_paths_of_one_class(mylab):
    assert same_class("COIN", "quinr_pl.network.COIN")
    assert same_class("quinr_pl.network.coin.COIN", "quinr_pl.network.COIN")
    assert not same_class("own_lab.KodakDataModule", "KodakDataModule")


def test_bare_names_of_what_is_imported():
    assert find_class("LearningRateMonitor", Callback, "trainer.callbacks") is LearningRateMonitor


def test_the_path_of_a_class_leads_back_to_it(mylab):
    import own_lab

    assert class_path(COIN) == "COIN"
    for cls in (COIN, KodakDataModule, own_lab.KodakDataModule):
        assert find_class(class_path(cls), object, "") is cls


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_lab.Net", "no_lab.Net: cannot import no_lab .*No module named 'no_lab'.* on PYTHONPATH"),
        ("broken_lab.Net", "cannot import broken_lab .*no_such_package"),
        ("own_lab.KodakDataModul", "own_lab has no KodakDataModul; did you mean KodakDataModule"),
        ("own_lab.KodakDataModule", "is no Network; give the import path of a subclass"),
        ("QuINRR", "model.network QuINRR: no such class; did you mean QuINR"),
        ("Nothing", "Nothing: no such class; give its import path, such as mylab.Nothing"),
        ("a b.C", "a b.C: no class path"),
        (None, "None: no class path"),
    ],
)
def test_refusals(mylab, path, message):
    with pytest.raises(QuinrError, match=message) as caught:
        find_class(path, Network, "model.network")
    assert "\n" not in str(caught.value)
