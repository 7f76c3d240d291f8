from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

if find_spec("quinr_pl.callbacks") is None:
    # Folders at the top of the repository install inside the package, which lies in the way here.
    raise pytest.UsageError("tests need the repository itself: pip install -c constraints.txt -e '.[dev]'")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: one thread each, and one for each process that they start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

if not torch.cuda.is_available():
    # Triton's interpreter runs the kernels without a GPU. Triton reads this when it is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")

from fits import QUICK_TINY, TINY, fitted


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test draws does not depend on the tests that ran before it, nor do its fixtures."""
    torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a worker process: some processors' libraries round by the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real images and scans."""
    root = os.environ.get("QUINR_DATA")
    if not root:
        pytest.skip("QUINR_DATA is not set: no real images or scans to test with")
    return Path(root)


@pytest.fixture(scope="session")
def tiny_fit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of ``conf/tiny.yaml`` and all callbacks, which tests only read, or copy."""
    return fitted(tmp_path_factory.mktemp("tiny_fit"), "--config", TINY)


@pytest.fixture(scope="session")
def quick_fit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after four steps, with the quickest rounding."""
    return fitted(tmp_path_factory.mktemp("quick_fit"), *QUICK_TINY, "--trainer.max_steps", "4")


@pytest.fixture
def wake_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code deals out work that is not worth a thread, too."""
    from quinr_pl.native import threads

    def in_parallel(work: Any, items: int, most_threads: int) -> None:
        threads.in_parallel(work, items, most_threads=items)

    for module in ("quinr_pl.native.rows", "quinr_pl.circuit.engines.cpu.call"):
        monkeypatch.setattr(f"{module}.in_parallel", in_parallel)
