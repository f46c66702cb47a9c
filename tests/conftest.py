"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch

# small tensors gain nothing from threads, and figures then do not depend on the machine's cores
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root():
    """Folder of published data sets; tests that need them skip where there is none."""
    root = os.environ.get("SAMIX_DATA_ROOT")
    if not root or not Path(root).is_dir():
        pytest.skip("SAMIX_DATA_ROOT names no folder: the tests on published data sets are left out")
    return Path(root)


@pytest.fixture
def float64(monkeypatch):
    """Run the library in double precision; its float32 islands become float64 islands.

    What is left between the library and a reference is then rounding far below any mistake.
    """
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
