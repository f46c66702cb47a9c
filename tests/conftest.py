"""What all tests share."""

import os
import shutil
from pathlib import Path

import pytest
import torch

os.environ.setdefault("DO_NOT_TRACK", "true")  # before anything imports MLflow

# small tensors gain nothing from threads, and figures then do not depend on the machine's cores
torch.set_num_threads(1)


SLOWER = {"slow", "compile", "long"}


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items):
    """The fast tier is every test without the mark of a slower one."""
    for item in items:
        if SLOWER.isdisjoint(mark.name for mark in item.iter_markers()):
            item.add_marker("fast")


@pytest.fixture(scope="session")
def data_root():
    """Folder of published data sets; tests that need them skip if it is missing."""
    root = os.environ.get("SAMIX_DATA_ROOT")
    if not root or not Path(root).is_dir():
        pytest.skip("SAMIX_DATA_ROOT names no folder: the tests on published data sets are left out")
    return Path(root)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory):
    """Makes an MLflow store: new_store(path) returns its URI. Its tables, made once, take seconds."""
    import mlflow

    empty = tmp_path_factory.mktemp("empty_store") / "runs.db"
    mlflow.MlflowClient(f"sqlite:///{empty}").get_experiment("0")

    def make(path):
        shutil.copy(empty, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(scope="session")
def two_ranks():
    """Two processes for functions that need torch.distributed."""
    from helpers.two_ranks import TwoRanks

    ranks = TwoRanks()
    yield ranks
    ranks.stop()


@pytest.fixture(scope="session")
def forks():
    """Runs `python -m MODULE` in forked processes."""
    from helpers.forked import Forks

    forks = Forks()
    yield forks
    forks.stop()


@pytest.fixture
def float64(monkeypatch):
    """Run the library in double precision; its float32 islands become float64 islands.

    What is left between the library and a reference is then rounding far below any mistake.
    """
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
