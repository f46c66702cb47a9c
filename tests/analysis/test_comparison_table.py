"""The table of a comparison against figures worked out by hand, its report and its picture of costs."""

import math

import pandas as pd
import pytest

from samix.analysis.comparison import comparison_markdown, comparison_report, comparison_table
from samix.analysis.cost import cost_figure

pytestmark = pytest.mark.slow

NAN = math.nan
REFUSED = "refused: policy transmix needs attention"
ROWS = [
    # backbone, variant, policy, alpha, seed, status, top1, seconds, memory, pretraining
    ("r18", "none", "none", 1.0, 0, "finished", 90.0, 2.0, 100.0, NAN),
    ("r18", "none", "none", 1.0, 1, "finished", 94.0, 4.0, 110.0, NAN),
    ("r18", "dm", "cutmix", 0.2, 0, "finished", 93.0, 3.0, 100.0, NAN),
    ("r18", "dm", "cutmix", 0.2, 1, "finished", 95.0, 3.0, 100.0, NAN),
    ("r18", "samix_p", "samix_p", 2.0, 0, "failed: the loss is not finite", NAN, NAN, NAN, NAN),
    ("r18", "samix_p", "samix_p", 2.0, 1, "finished", 97.0, 5.0, 120.0, 30.0),
    ("r18", "transmix", "transmix", 1.0, 0, REFUSED, NAN, NAN, NAN, NAN),
    ("r18", "transmix", "transmix", 1.0, 1, REFUSED, NAN, NAN, NAN, NAN),
    ("vit", "dm", "cutmix", 2.0, 0, "finished", 50.0, 8.0, 200.0, NAN),
]
NAMES = [
    "backbone",
    "variant",
    "policy",
    "alpha",
    "seed",
    "status",
    "top1",
    "seconds_per_epoch",
    "peak_memory_mb",
]
TRIALS = pd.DataFrame(ROWS, columns=[*NAMES, "pretraining_seconds"]).assign(host="sl", group="main", epochs=8)
TRIALS["top1_last"] = TRIALS["top1"] + 1
ABOUT = {
    "run": {
        "command": "kedro run --pipelines=mixup_benchmark --env=cifar100",
        "pipeline": "mixup_benchmark",
        "environment": "cifar100",
        "versions": {"torch": "9.9.9", "kedro": "8.8.8"},
        "commit": "abcdef",
        "dirty": "true",
    },
    "card": {
        "name": "CIFAR-100",
        "image_size": 32,
        "counts": {"train": 500, "test": 100},
        "checksum": "c0ffee",
    },
    "devices": {"device": "a GPU", "precision": "float32"},
    "date": "2030-01-02",
}


def test_means_gains_and_costs():
    table = comparison_table(TRIALS).set_index(["backbone", "variant"])
    assert list(table.index) == [("r18", n) for n in ("none", "dm", "samix_p", "transmix")] + [("vit", "dm")]
    plain, dm, p, refused = (table.loc[("r18", name)] for name in ("none", "dm", "samix_p", "transmix"))
    assert (plain.top1_mean, plain.top1_std) == (92, pytest.approx(math.sqrt(8)))
    assert (dm.top1_mean, dm.top1_std) == (94, pytest.approx(math.sqrt(2)))
    # seed by seed: 93 - 90 = 3 and 95 - 94 = 1
    assert (dm.gain_mean, dm.gain_std) == (2, pytest.approx(math.sqrt(2)))
    assert p.gain_mean == 3 and math.isnan(p.gain_std) and (p.trials, p.failed) == (1, 1)
    # the least of the seeds: 3 of 2 seconds
    assert (plain.seconds_per_epoch, dm.relative_cost, p.pretraining_seconds) == (2, 1.5, 30)
    assert (refused.refused, refused.trials, refused.failed) == (2, 0, 0) and math.isnan(refused.top1_mean)
    alone = table.loc[("vit", "dm")]  # no plain row to compare with
    assert math.isnan(alone.gain_mean) and math.isnan(alone.relative_cost) and alone.top1_mean == 50


def test_report_says_how_it_was_made_and_what_went_wrong():
    text = comparison_report(TRIALS, comparison_table(TRIALS), ABOUT)
    for wanted in (
        "    kedro run --pipelines=mixup_benchmark --env=cifar100\n",
        "| environment | cifar100 |",
        "| data set | CIFAR-100, 32 px |",
        "| images | 500 train, 100 test |",
        "| checksum | c0ffee |",
        "| seeds | 0, 1 |",
        "| epochs | 8 |",
        "| commit | abcdef (with uncommitted changes) |",
        "| torch | 9.9.9 |",
        "| device | a GPU |",
        "| date | 2030-01-02 |",
        "| main | dm | cutmix | 0.2 | 94.00 ± 1.41 | 95.00 ± 1.41 | +2.00 ± 1.41 | 2 | 3.00 | 1.50 | - |",
        "| main | samix_p | samix_p | 2 | 97.00 | 98.00 | +3.00 | 1 (1 failed) | 5.00 | 2.50 | 30 | 120 |",
        "| main | transmix | transmix | 1 | refused | - | - | 0 | - | - | - | - |",
        "* samix_p on r18 (sl), seed 0: failed: the loss is not finite",
        "![Top-1 over seconds per epoch](cost.png)",
        "![Top-1 of each trial and their means](results.png)",
        "median of its validation accuracies after each of the last 10 epochs",
    ):
        assert wanted in text
    assert text.count(REFUSED) == 1 and text.count("\n## ") == 6


def test_markdown_has_a_table_per_backbone_and_host_without_empty_columns():
    text = comparison_markdown(comparison_table(pd.concat([TRIALS, TRIALS.assign(host="ssl")])))
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {backbone} ({host})" for host in ("sl", "ssl") for backbone in ("r18", "vit")
    ]
    head = next(line for line in text.splitlines() if line.startswith("| group"))
    assert "gain over plain" in head and "pre-training (s)" in head
    alone = comparison_markdown(comparison_table(TRIALS[TRIALS["backbone"] == "vit"]))
    assert (
        "gain" not in alone and "pre-training" not in alone and "| main | dm | cutmix | 2 | 50.00 |" in alone
    )


def test_gains_are_those_over_the_plain_row_of_the_same_host():
    better = TRIALS.assign(host="ssl", top1=TRIALS["top1"] - 20 * (TRIALS["policy"] == "none"))
    table = comparison_table(pd.concat([TRIALS, better])).set_index(["host", "backbone", "variant"])
    gains = [table.loc[(host, "r18", "dm"), "gain_mean"] for host in ("sl", "ssl")]
    assert gains == [2, 22] and len(table) == 10


def crowd(policies):
    """Many policies that cost and score about the same, and one that costs more."""
    rows = [("none", "none", 1.0, 90.0), *((name, name, 1 + i % 3 / 50, 90 + i / 5) for i, name in policies)]
    columns = ["variant", "policy", "relative_cost", "top1_mean"]
    return pd.DataFrame(rows, columns=columns).assign(
        backbone="r18",
        host="sl",
        trials=2,
        top1_std=0.5,
        seconds_per_epoch=lambda table: table["relative_cost"],
    )


def test_names_in_the_picture_do_not_cover_each_other():
    figure = cost_figure(crowd(enumerate(f"a policy {number}" for number in range(12))))
    (ax,) = figure.axes
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert len(boxes) == 13
    names = sorted(boxes)
    overlaps = [(a, b) for a in names for b in names if a < b and boxes[a].padded(-1).overlaps(boxes[b])]
    assert overlaps == []


def test_picture_leaves_out_what_did_not_finish_and_tells_seconds_without_a_plain_row():
    figure = cost_figure(comparison_table(TRIALS))
    assert [ax.get_title() for ax in figure.axes] == ["r18 (sl)", "vit (sl)"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"none", "dm", "samix_p"}
    assert figure.axes[0].get_xlabel() == "seconds per epoch"
    one = comparison_table(TRIALS[TRIALS["backbone"] == "r18"])
    assert "plain training = 1" in cost_figure(one).axes[0].get_xlabel()
