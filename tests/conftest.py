from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # Read when the kernels are defined: Triton's interpreter runs them without a GPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real images and scans."""
    root = os.environ.get("QUINR_DATA")
    if not root:
        pytest.skip("QUINR_DATA is not set: no real images or scans to test with")
    return Path(root)
