from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def gpu() -> torch.device:
    """The device of a test in this folder, which is skipped where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return torch.device("cuda")
