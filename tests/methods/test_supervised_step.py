"""The whole step of supervised training and SAMix against a second implementation, in float64."""

import copy

import pytest
import torch

from helpers import naive_supervised
from helpers.steps import descend
from helpers.steps import step_of as step
from helpers.tiny_supervised import KINDS, batch_of, context, learner_of
from samix.config.mixing import MaskAdjustConfig, MaskLossConfig

pytestmark = pytest.mark.slow

LOSSES = {"loss_plain", "loss_mixed", "mask_loss", "mixer_local", "mixer_global"}


def gradients(module):
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def require_equal_steps(learner, again, number):
    """Equal losses, gradients of every parameter, and statistics."""
    metrics = step(learner, batch_of(number), context(number))
    metrics["loss"].backward()
    want = naive_supervised.step(again, batch_of(number), context(number))
    want.loss.backward()
    torch.testing.assert_close(metrics["loss"], want.loss, atol=1e-10, rtol=1e-10)
    parts = vars(want).keys() - {"loss"}
    assert parts == metrics.keys() & LOSSES
    for part in parts:
        torch.testing.assert_close(metrics[part], getattr(want, part).detach(), atol=1e-10, rtol=1e-10)
    own, other = gradients(learner), gradients(again)
    assert own.keys() == other.keys()
    for name, gradient in own.items():
        torch.testing.assert_close(gradient, other[name], atol=1e-10, rtol=1e-10, msg=f"gradient of {name}")
    require_equal_states(learner, again)
    return metrics


def require_equal_states(learner, again):
    state = again.state_dict()
    for name, tensor in learner.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        if not (statistic and ".mixer." in name):  # the loops keep no statistics of the Mixer
            torch.testing.assert_close(tensor, state[name], atol=1e-10, rtol=0, msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"heads": "shared"},
        {"label_smoothing": 0.1},
        {"plain_weight": 0.0},
        {"plain_weight": 0.5, "no_repeat": True},
        {"plain_weight": 1.0, "plain_mix": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_policy_under_every_option(float64, kind, options):
    learner = learner_of(kind, **options)
    for number in (3, 4):
        again = copy.deepcopy(learner)
        learner.zero_grad()
        again.zero_grad()
        require_equal_steps(learner, again, number)


@pytest.mark.parametrize(
    "options",
    [
        {"training": {"eta": 0.0}},
        {"training": {"eta": 0.1, "alpha": 0.5}},
        {"training": {"loss": "global"}, "label_smoothing": 0.1},
        {"training": {"mask_loss": MaskLossConfig(weight=1.0, statistic="batch")}},
        {"training": {"interval": 2}},  # not in step 3
        {"training": {"interval": 3}},
        {"adjust": MaskAdjustConfig(mode="off")},
        {"adjust": MaskAdjustConfig(mode="prob", probability=1.0)},
        {"adjust": MaskAdjustConfig(lam_margin=0.49)},
    ],
    ids=str,
)
def test_every_option_of_the_mixers_training(float64, options):
    learner = learner_of("samix", **options)
    require_equal_steps(learner, copy.deepcopy(learner), 3)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("samix", {}),
        ("samix", {"momentum": {"start": 0.9, "end": 0.99, "hold": 0.3, "ema_buffers": True}}),
        ("samix", {"momentum": {"start": 0.5, "end": None}, "heads": "shared"}),
        ("samix_p", {}),
    ],
    ids=str,
)
def test_some_steps_on_end(float64, kind, options):
    """The momentum network follows after each step with that step's m, past the end of its hold."""
    learner = learner_of(kind, **options)
    again = copy.deepcopy(learner)
    for number in range(5):
        require_equal_steps(learner, again, number)
        descend(learner)
        descend(again)
        learner.after_step(context(number))
        naive_supervised.after(again, context(number))
        require_equal_states(learner, again)
