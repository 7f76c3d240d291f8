"""What `quinr_pl` offers by itself."""

from __future__ import annotations

import sys

import pytest
from processes import completed

import quinr_pl


def test_nothing_heavy_is_imported_before_it_is_asked_for():
    code = (
        "import sys, quinr_pl; names = set(dir(quinr_pl)); before = set(sys.modules); quinr_pl.QuantumLayer; "
        "assert not {'torch', 'numpy'} & before, before; assert {'decompress', 'QuantumLayer'} <= names"
    )
    done = completed([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr


def test_each_name_is_there():
    for name in quinr_pl.__all__:
        assert getattr(quinr_pl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'abacus'"):
        quinr_pl.abacus  # noqa: B018
