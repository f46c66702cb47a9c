"""The printed table of policies, and the page that holds it."""

from pathlib import Path

import pytest
import yaml

from helpers.environments import Settings
from helpers.steps import step_of
from helpers.tiny_supervised import batch_of, context, learner_of
from samix.jobs.build import static_policy
from samix.methods.supervised import mixed_criterion, plain_weight
from samix.mixup import POLICIES, CutMix, Mixup, Policy, RandomChoice
from samix.mixup.table import HEADER, SCENARIOS, example, name_of, policy_rows, report
from samix.objectives import DecoupledCE, MixedBCE

PAGE = Path(__file__).parents[2] / "docs/policies.md"


def test_each_policy_has_one_full_row():
    rows = policy_rows()
    assert [row[0] for row in rows] == list(POLICIES)
    assert all(len(row) == len(HEADER) and all(row) for row in rows)
    assert len({row[1] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("mixup", ("Mixup (Zhang et al., 2018)", "static", "-", "-")),
        ("smoothmix", ("SmoothMix (Lee et al., 2020)", "static", "-", "`as_released=False`")),
        (
            "inter_intra",
            (
                "Inter-Intra mixup by clusters (SAMix, hand-made baseline)",
                "static",
                "labels or pseudo labels",
                "`alpha_intra=0.2`",
            ),
        ),
    ],
)
def test_rows(name, row):
    assert (name, *row) in policy_rows()


def test_choices_are_told():
    options = {row[0]: row[-1] for row in policy_rows()}
    assert options["gridmix"] == "`form=holes` (cells), `cells=4`"
    assert "`size=share` (draw, scope)" in options["resizemix"]


def test_tables_have_rows_of_one_length():
    lines = [line for line in report().splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (len(POLICIES) + 2)
    for header, part in ((HEADER, lines[: len(lines) // 2]), (("", *SCENARIOS), lines[len(lines) // 2 :])):
        assert {line.count("|") for line in part} == {len(header) + 1}


@pytest.mark.parametrize("name", POLICIES)
def test_examples_are_what_the_table_names(name):
    assert type(example(name)) is POLICIES[name] and name_of(example(name)) == name


def test_a_policy_of_ones_own_has_the_name_of_its_class():
    class Mine(Mixup):
        pass

    assert name_of(Mine()) == "Mine" and name_of(CutMix()) == "cutmix"
    assert issubclass(Mine, Policy)


def test_the_page_shows_the_gallery():
    assert "(gallery.png)" in PAGE.read_text()
    assert 0 < (PAGE.parent / "gallery.png").stat().st_size < 700_000


def commands():
    """The parameters that each `kedro run` of the page sets."""
    lines = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    kedro run")]
    pairs = [line.split("--params=")[1].split(",") for line in lines]
    return [{key: yaml.safe_load(value) for key, value in (pair.split("=") for pair in one)} for one in pairs]


@pytest.mark.slow
def test_the_commands_of_the_page_are_valid_and_mean_what_it_says():
    found = [Settings("fashion_mnist", changes) for changes in commands()]
    assert [(one.sl_training.policy.name, one.sl_training.policy.alpha) for one in found] == [
        ("none", 2.0),  # the two networks of the gallery
        ("none", 2.0),
        ("cutmix", 0.2),
        ("cutmix", 2.0),
        ("mixup", 10.0),
    ]
    assert mixed_criterion(found[3].supervised) == DecoupledCE()
    regmixup = found[4].supervised
    assert plain_weight(regmixup, Mixup()) == 1 and regmixup.heads == "shared"


def test_the_recipe_of_regmixup():
    """CE of plain images plus mixCE of mixed ones, in one step and under one head."""
    learner = learner_of("mixup", plain_weight=1.0, heads="shared")
    metrics = step_of(learner, batch_of(3), context(3))
    assert list(learner.classifier.heads) == ["plain"]
    assert metrics["loss_plain"] != metrics["loss_mixed"]
    assert float(metrics["loss"]) == pytest.approx(float(metrics["loss_plain"] + metrics["loss_mixed"]))


def test_the_recipe_of_rsb():
    recipe = yaml.safe_load(PAGE.read_text().split("```yaml")[1].split("```")[0])
    changes = {
        "supervised.mixed_loss": recipe["supervised"]["mixed_loss"],
        "sl_training.policy": recipe["sl_training"]["policy"],
    }
    found = Settings("fashion_mnist", changes)
    policy = static_policy(found.sl_training.policy)
    assert isinstance(policy, RandomChoice) and policy.alphas == [0.1, 1.0]
    assert mixed_criterion(found.supervised) == MixedBCE(reduction="mean")
