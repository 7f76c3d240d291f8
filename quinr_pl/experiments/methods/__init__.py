"""What a comparison compares: ways from a signal to a file and back, one file a kind."""

from __future__ import annotations

from quinr_pl.class_paths import find_class
from quinr_pl.experiments.methods.method import Method
from quinr_pl.registry import Registry

_HERE = "quinr_pl.experiments.methods"

METHODS: Registry[str, type[Method]] = Registry(
    "kind of method",
    "quinr_pl.methods",
    {
        "fit": f"{_HERE}.fit:Fit",
        "twin": f"{_HERE}.twin:Twin",
        "jpeg2000": f"{_HERE}.jpeg2000:JPEG2000Method",
        "webp": f"{_HERE}.rated:PillowMethod",
        "avif": f"{_HERE}.rated:PillowMethod",
        "opus": f"{_HERE}.rated:OpusMethod",
        "coin": f"{_HERE}.coin:COINMethod",
        "draco": f"{_HERE}.draco:DracoMethod",
    },
)


def find_method(kind: str) -> Method:
    """The method of a kind: one of the table, or a class by its import path.

    Raises:
        QuinrError: If there is none.
    """
    return (find_class(kind, Method, "kind") if "." in kind else METHODS[kind])()
