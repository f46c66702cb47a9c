"""The whole step of MoCo and SAMix against a second implementation, in float64."""

import copy

import pytest
import torch

from helpers import naive_moco
from helpers.steps import descend
from helpers.steps import step_of as step
from helpers.tiny_moco import CONFIG, SAMIX, batch_of, context, learner_of, new_keys
from samix.config.mixing import ClusterConfig, MaskAdjustConfig

pytestmark = pytest.mark.slow

CROSS_VIEWS = list(naive_moco.CROSS_VIEWS)


def gradients(module):
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def require_equal_steps(learner, again, number):
    """Equal losses, gradients of every parameter, momentum weights, statistics and keys."""
    metrics = step(learner, batch_of(number), context(number))
    metrics["loss"].backward()
    want = naive_moco.step(again, batch_of(number), context(number))
    want.loss.backward()
    torch.testing.assert_close(metrics["loss"], want.loss, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(new_keys(learner), want.keys, atol=1e-10, rtol=0)
    parts = vars(want).keys() - {"loss", "keys"}
    known = {"loss_ssl", "loss_mixed", "mask_loss", "mixer_local", "mixer_global", "head_loss"}
    assert parts == metrics.keys() & known
    for part in parts:
        torch.testing.assert_close(metrics[part], getattr(want, part).detach(), atol=1e-10, rtol=0)
    own, other = gradients(learner), gradients(again)
    assert own.keys() == other.keys()
    for name, gradient in own.items():
        torch.testing.assert_close(gradient, other[name], atol=1e-10, rtol=1e-10, msg=f"gradient of {name}")
    require_equal_states(learner, again)
    return metrics, want


def require_equal_states(learner, again):
    mixer_names = ("policy.", "mixer_training.mixer.")  # the loops keep no statistics of the Mixer
    state = again.state_dict()
    for name, tensor in learner.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        if not (statistic and name.startswith(mixer_names)) and "frozen_head." not in name:
            torch.testing.assert_close(tensor, state[name], atol=1e-10, rtol=0, msg=name)


@pytest.mark.parametrize("cross_view", CROSS_VIEWS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("none", {}),
        ("mixup", {}),
        ("cutmix", {}),
        ("instance", {}),
        ("instance", {"labels": "online", "filter_negatives": True}),
        ("cluster", {"labels": "online"}),
        ("cluster", {"labels": "fixed"}),
    ],
    ids=str,
)
def test_four_optimiser_steps_under_every_cross_view(float64, kind, options, cross_view):
    """Queue, labels and memory go on from one step to the next: each is read before it is written."""
    learner = learner_of(kind, config=CONFIG.model_copy(update={"cross_view": cross_view}), **options)
    again = copy.deepcopy(learner)
    labels = []
    for number in range(4):
        _, want = require_equal_steps(learner, again, number)
        descend(learner)
        descend(again)
        learner.after_step(context(number))
        naive_moco.after(again, batch_of(number), want)
        require_equal_states(learner, again)
        labels.append(None if learner.labels is None else learner.labels.labels.tolist())
    if options.get("labels") == "online":
        assert len({tuple(row) for row in labels}) > 2  # they do move


def test_cross_views_differ():
    """So that the test above cannot pass for all of them with the code of one."""
    found = {}
    for cross_view in CROSS_VIEWS:
        learner = learner_of("instance", config=CONFIG.model_copy(update={"cross_view": cross_view})).eval()
        metrics = step(learner, batch_of(3), context(3))
        found[cross_view] = (metrics["loss_mixed"].item(), metrics["mixer_global"].item())
    for part in zip(*found.values(), strict=True):
        assert len(set(part)) == len(CROSS_VIEWS)


@pytest.mark.parametrize("cross_view", ["q2k", "swap"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("cluster", {"labels": "online"}),
        ("cluster", {"loss": "global"}),
        ("cluster", {"loss": "sigmoid_negweight", "eta": 0.3}),
        ("cluster", {"cluster": ClusterConfig(features="projection")}),
        ("cluster", {"cluster": ClusterConfig(train_encoder=True), "labels": "online"}),
        ("cluster", {"cluster": ClusterConfig(start_epoch=2)}),  # step 3 is of epoch 1
        ("cluster", {"cluster": ClusterConfig(start_epoch=1)}),
        ("cluster", {"interval": 2}),  # not in step 3
        ("cluster", {"interval": 3}),
        ("cluster", {"adjust": MaskAdjustConfig(mode="auto_label", margin=0.02)}),
        ("instance", {"loss": "global_aux_local"}),
        ("instance", {"eta": 0.0}),
        ("instance", {"labels": "fixed", "filter_negatives": True}),
        ("instance", {"labels": "online", "filter_negatives": True}),
        ("instance", {"interval": 2}),
    ],
    ids=str,
)
def test_every_option_of_the_mixers_training(float64, kind, options, cross_view):
    learner = learner_of(kind, config=CONFIG.model_copy(update={"cross_view": cross_view}), **options)
    require_equal_steps(learner, copy.deepcopy(learner), 3)


@pytest.mark.parametrize("kind", SAMIX)
def test_every_loss_of_the_mixer_has_its_own_gradient(kind):
    """So that an option that is not read would be seen above."""
    names = ["eta_balanced", "global", "global_aux_local"] + ["sigmoid_negweight"] * (kind == "cluster")
    found = []
    for name in names:
        learner = learner_of(kind, loss=name)
        step(learner, batch_of(3), context(3))["loss"].backward()
        found.append(learner.mixer_training.mixer.query.weight.grad)
    assert not any(torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])
