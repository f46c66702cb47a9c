"""The benchmarks of speed run, at sizes at which their figures mean nothing, and write what they promise."""

import importlib
import json
import math
import sys
from pathlib import Path

import pytest
import torch

from samix.mixup import POLICIES

pytestmark = pytest.mark.slow

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


@pytest.mark.slow
def test_policies_are_measured_alone_and_in_a_step(benchmark):
    names = ["mixup", "cutmix", "inter_intra", "manifoldmix", "saliencymix", "transmix", "samix", "adautomix"]
    cnn, vit = TINY[:9], ["--vit", "test_vit", "--vit-tap", "2", "--vit-size", "32", "--vit-batch", "4"]
    rows = benchmark("policies", *cnn, *vit, "--device", "cpu", "--policies", *names)["rows"]
    found = {row["name"]: row for row in rows}
    assert set(found) == {*names, "mixup, lam: sample", "cutmix, lam: sample"}
    alone = {name for name, row in found.items() if row["images_per_s"] is not None}
    assert alone == {"mixup", "mixup, lam: sample", "cutmix", "cutmix, lam: sample", "inter_intra"}
    for name in ("mixup", "cutmix"):
        assert positive(found[name], ["images_per_s", "ratio_timm", "ratio_torchvision", "ratio_plain"])
        assert positive(found[name + ", lam: sample"], ["images_per_s", "ratio_timm"])
    assert all(positive(found[name], ["ratio_plain"]) for name in names)
    assert {name for name in names if found[name]["backbone"] == "test_vit"} == {"transmix"}


def test_every_policy_of_the_table_is_measured(benchmark):
    assert importlib.import_module("policies")._parser().parse_args([]).policies == list(POLICIES)
    rows = benchmark("policies", "--policies", "gridmix", "--size", "8", "--batch", "2", "--steps", "0")[
        "rows"
    ]
    assert [row["name"] for row in rows] == ["gridmix"] and rows[0]["images_per_s"] > 0


def test_moving_average_is_a_share_of_the_step(benchmark):
    options = TINY[:9]  # it has neither a queue nor a device to choose
    rows = benchmark("ema", *options)["rows"]
    assert [row["name"] for row in rows] == ["MoCo", "SAMix-I"]
    for row in rows:
        assert row["ema_percent"] == pytest.approx(100 * row["ema_ms"] / row["step_ms"])
        assert 0 < row["ema_percent"] < 100


def test_changes_are_measured_before_and_after(benchmark):
    rows = benchmark("changes", *TINY[:9], "--precision", "bf16")["rows"]
    assert {row["kept"] for row in rows} == {"yes", "no"}
    changes = {row["change"] for row in rows}
    assert {"update by SGD", "layout, forward and backward", "partners of a batch"} <= changes
    for row in rows:
        assert row["gain"] == pytest.approx(row["before_ms"] / row["after_ms"]) and row["gain"] > 0


def test_augmentation_is_measured_against_pil(benchmark):
    rows = benchmark("augment", "--size", "16", "--images", "8")["rows"]
    assert [row["name"] for row in rows] == ["batched", "v2", "pil"]
    assert rows[2]["ratio_pil"] == 1
    assert all(positive(row, ["images_per_s", "ratio_pil"]) for row in rows)


def test_loader_trains_on_files(benchmark):
    options = [*TINY[:5], "--size", "32", "--batch", "4", "--images", "16", "--steps", "2"]
    rows = {row["name"]: row for row in benchmark("loader", *options)["rows"]}
    assert set(rows) == {"decode", "augment", "step", "one after the other", "read ahead"}
    assert all(positive(row, ["images_per_s", "ratio_step"]) for row in rows.values())
    assert rows["read ahead"]["waiting_percent"] is not None


@pytest.mark.slow
def test_startup_stops_at_the_first_node_and_says_what_it_is_made_of(benchmark, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")  # which the measured runs must not use
    rows = {row["name"]: row for row in benchmark("startup", "--top", "3")["rows"]}
    for command in ("kedro registry list", "kedro run, first node"):
        assert positive(rows[command], ["seconds", "cpu_seconds"])
        bare = rows[f"{command}, no byte code"]
        assert bare["cpu_seconds"] > rows[command]["cpu_seconds"]
    parts = [row["seconds"] for name, row in rows.items() if name.startswith("first node, ")]
    assert len(parts) == 9 and min(parts) >= 0
    imports = [row["seconds"] for name, row in rows.items() if name.startswith("import of ")]
    assert len(rows) == 4 + 9 + 3 and imports == sorted(imports, reverse=True)
    assert "import of mlflow" in rows


def test_turns_are_taken_and_the_first_is_not_counted(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    measuring = importlib.import_module("measuring")
    clock, calls = [0.0], []

    def work(name, durations):
        remaining = iter(durations)

        def do():
            calls.append(name)
            clock[0] += next(remaining)

        return do

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])
    both = {"a": work("a", [99, 1, 5, 3]), "b": work("b", [99, 10, 10, 40])}
    assert measuring.alternate(both, 3, lambda: None) == {"a": 3, "b": 10}
    assert calls == ["a", "b"] * 4


def test_the_page_is_made_of_what_the_benchmarks_wrote(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    report = importlib.import_module("report")
    record = {
        "command": "python benchmarks/one.py",
        "date": "2001-02-03",
        "machine": "abacus",
        "versions": {"torch": "0"},
        "rows": [{"name": "beads", "images_per_s": 1234.5, "ratio": 0.5, "none": None}],
        "notes": "",
    }
    (tmp_path / "one.json").write_text(json.dumps(record))
    found = report.page("# Title\n\n{{one}}\n\n{{two}}\n", tmp_path)
    assert found == (
        "# Title\n\n`python benchmarks/one.py`\n\nabacus; torch 0; 2001-02-03\n\n"
        "| name | images_per_s | ratio | none |\n| --- | --- | --- | --- |\n| beads | 1234 | 0.5 |  |\n\n"
        "Not measured yet.\n"
    )


def test_every_table_of_the_page_has_a_command(monkeypatch, tmp_path):
    """The page in docs/ is the template with its tables, nothing written by hand."""
    monkeypatch.syspath_prepend(str(FOLDER))
    report = importlib.import_module("report")
    template = (FOLDER / "performance.md").read_text()
    page = (FOLDER.parent / report.PAGE).read_text()
    for part in report.SLOT.split(template)[::2]:
        assert part in page


@pytest.fixture
def same_bits(monkeypatch):
    """The modules of benchmarks/same_bits.py by their short names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return {part: importlib.import_module(f"same_bits{part}") for part in ("", "_list", "_now", "_steps")}


def test_trainings_that_are_compared_can_be_built(same_bits):
    trainings = same_bits["_list"].trainings()
    assert len({training.name for training in trainings}) == len(trainings)
    assert set(same_bits["_list"].POLICIES) <= POLICIES.keys() and len(same_bits["_list"].POLICIES) == 31
    for training in trainings:
        assert {"classifier", "encoder"} & same_bits["_now"].parts(
            same_bits["_now"].learner_of(training)
        ).keys()


def test_a_training_leaves_the_same_bits_twice_and_others_with_another_policy(same_bits):
    steps, now = same_bits["_steps"], same_bits["_now"]
    by_name = {training.name: training for training in same_bits["_list"].trainings()}
    names = ["mixup", "mixup", "cutmix"]
    one, again, other = (steps._after_steps(by_name[name], now.learner_of, now.parts) for name in names)
    compared = same_bits[""].compared
    assert compared("mixup", one, again, 0.0)["result"] == "equal"
    assert "differs by" in compared("mixup", one, other, 1e-6)["result"]
    again["losses"] = again["losses"] * (1 + 1e-7)
    assert "losses differs by" in compared("mixup", one, again, 0.0)["result"]
    assert compared("mixup", one, again, 1e-6)["result"] == "within 1e-6"
    assert "before: None" in compared("mixup", None, again, 0.0)["result"]
