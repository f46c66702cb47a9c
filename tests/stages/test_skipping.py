"""Which stages a run needs, by its settings, and why it skips the others."""

import pytest

from helpers.tiny_jobs import SETTINGS
from samix.stages import SL, SSL

LABELLED = {"mixer_pretraining.mask_adjust.mode": "auto_label"}
INSTANCE = {"mixer_pretraining.objective": "instance"}
TRUE = {"mixer_pretraining.cluster.labels": "true"}
CLUSTERED = {"mixer_pretraining.start": "pseudo_labels"}


def skipped(chain, policy, named=(), **changes):
    host = chain.trained.split("_")[0]
    settings = SETTINGS.changed({f"{host}_training.policy.name": policy, **changes}, "test")
    return chain.skipped(settings, named)


@pytest.mark.parametrize("policy", ["none", "cutmix", "samix", "automix", "adautomix"])
def test_only_samix_p_needs_a_pretrained_mixer_under_labels(policy):
    reason = f"policy {policy} needs no Mixer"
    assert skipped(SL, policy) == {"mixer_pretraining_sl": reason}
    assert skipped(SL, "samix_p") == {}


@pytest.mark.parametrize(
    ("policy", "changes", "expected"),
    [
        ("none", {}, {"pseudo_labels", "mixer_pretraining"}),
        ("mixup", {}, {"pseudo_labels", "mixer_pretraining"}),
        ("cutmix", LABELLED, {"pseudo_labels", "mixer_pretraining"}),
        ("inter_intra", {}, {"mixer_pretraining"}),  # mixes within and across classes
        ("samix", {}, {"mixer_pretraining"}),
        ("samix", INSTANCE, {"pseudo_labels", "mixer_pretraining"}),
        ("samix", TRUE, {"pseudo_labels", "mixer_pretraining"}),
        ("samix", INSTANCE | CLUSTERED, {"pseudo_labels", "mixer_pretraining"}),
        ("samix_p", {}, set()),
        ("samix_p", INSTANCE, {"pseudo_labels"}),
        ("samix_p", INSTANCE | CLUSTERED, set()),
        ("samix_p", INSTANCE | LABELLED, set()),
        ("samix_p", TRUE, {"pseudo_labels"}),
    ],
)
def test_self_supervised_training_needs_what_its_policy_and_mixer_use(policy, changes, expected):
    assert set(skipped(SSL, policy, **changes)) == expected


def test_reasons_are_those_of_the_stages_that_run():
    assert skipped(SSL, "cutmix") == {
        "pseudo_labels": "policy cutmix needs no pseudo labels",
        "mixer_pretraining": "policy cutmix needs no Mixer",
    }
    found = skipped(SSL, "samix_p", **INSTANCE)["pseudo_labels"]
    assert found == (
        "a Mixer with objective instance needs no labels, start: random needs no encoder, "
        "policy samix_p needs no pseudo labels"
    )


def test_a_stage_that_is_named_runs_with_what_it_needs():
    assert skipped(SSL, "cutmix", {"mixer_pretraining"}) == {}
    assert set(skipped(SSL, "cutmix", {"mixer_pretraining"}, **INSTANCE)) == {"pseudo_labels"}
    assert set(skipped(SSL, "cutmix", {"pseudo_labels"})) == {"mixer_pretraining"}


def test_a_comparison_can_run_what_leads_to_its_figures():
    names = [stage.name for stage in SSL.compared()]
    assert names == ["pseudo_labels", "mixer_pretraining", "ssl_training", "linear_evaluation"]
    assert [stage.name for stage in SL.compared()] == ["mixer_pretraining_sl", "sl_training"]
