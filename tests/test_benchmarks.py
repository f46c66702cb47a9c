"""The benchmarks of speed run, at sizes at which their figures mean nothing, and write what they promise."""

import importlib
import json
import math
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
TINY = ["--channels", "4", "4", "6", "8", "--size", "16", "--batch", "4", "--queue", "8", "--device", "cpu"]
SHORT = ["--rounds", "1", "--threads", "1"]


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """Runs the main of a benchmark and returns what it wrote."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name, *options):
        monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", *options])
        path = tmp_path / f"{name}.json"
        importlib.import_module(name).main([*options, *SHORT, "--json", str(path)])
        return json.loads(path.read_text())

    return run


def positive(row, keys):
    return all(math.isfinite(row[key]) and row[key] > 0 for key in keys)


@pytest.mark.slow
def test_step_has_a_row_for_every_method(benchmark):
    record = benchmark("step", *TINY, "--steps", "1")
    names = ["vanilla", "mixup", "samix", "samix_p", "MoCo", "MoCo+mixup", "SAMix-I", "SAMix-C", "SAMix-P"]
    assert [row["name"] for row in record["rows"]] == names
    keys = ["images_per_s", "ratio_vanilla", "ratio_bare", "ratio_naive"]
    assert all(list(row) == ["name", *keys] and positive(row, keys) for row in record["rows"])
    assert record["rows"][0]["ratio_vanilla"] == 1
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]


def test_step_takes_its_batches_from_a_data_set(benchmark):
    options = ["--with-augment", "--methods", "samix", "SAMix-P", "--steps", "1", "--precision", "bf16"]
    record = benchmark("step", *TINY, *options)
    assert [row["name"] for row in record["rows"]] == ["samix", "SAMix-P"]
    assert record["settings"]["precision"] == "bf16"
