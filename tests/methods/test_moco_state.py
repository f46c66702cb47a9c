"""The MoCo learner over several steps: resume, progress, and parameters that cannot work."""

import io

import pytest
import torch

from helpers.steps import step_of as step
from helpers.tiny_moco import KINDS, batch_of, context, learner_of
from samix.config.mixing import MaskAdjustConfig
from samix.config.ssl import MoCoConfig
from samix.core.errors import ConfigError
from samix.methods import MoCo, SelfSupervised
from samix.mixup import Mixup


def optimizers_of(learner):
    return [
        torch.optim.SGD(
            [p for module in s.modules for p in module.parameters() if p.requires_grad], lr=0.1, momentum=0.9
        )
        for s in learner.parameter_sets().values()
    ]


def train(learner, optimizers, steps):
    for number in steps:
        step(learner, batch_of(number), context(number))["loss"].backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        learner.after_step(context(number))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [(kind, {}) for kind in KINDS]
    + [("cluster", {"labels": "online"}), ("instance", {"labels": "online", "filter_negatives": True})],
)
def test_state_dict_holds_everything(kind, options):
    """Two steps, save, load into a learner of other weights, one step: the same as three steps."""
    whole = learner_of(kind, **options)
    optimizers = optimizers_of(whole)
    train(whole, optimizers, range(2))
    file = io.BytesIO()
    torch.save((whole.state_dict(), [o.state_dict() for o in optimizers]), file)
    train(whole, optimizers, [2])

    file.seek(0)
    resumed = learner_of(kind, seed=1, **options)
    if resumed.labels is not None:
        resumed.labels.labels.copy_(resumed.labels.labels.flip(0))
    state, optimizer_states = torch.load(file)
    resumed.load_state_dict(state)
    optimizers = optimizers_of(resumed)
    for optimizer, own in zip(optimizers, optimizer_states, strict=True):
        optimizer.load_state_dict(own)
    train(resumed, optimizers, [2])
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_learning_lowers_the_loss():
    """On one batch the plain and the mixed loss fall: no sign is wrong."""
    learner = learner_of("mixup")
    optimizers, losses = optimizers_of(learner), []
    for _ in range(12):
        metrics = step(learner, batch_of(0), context(0))
        losses.append(metrics["loss"].item())
        metrics["loss"].backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("batch_size", "queue", "images", "message"),
    [
        (64, 128, 50, "batch_size is 64.*50"),
        (64, 32, 500, "queue .32. is shorter.*64"),
        (64, 100, 500, "queue .100. must be a multiple.*64"),
        (64, 512, 500, "queue .512. is longer.*500"),
    ],
)
def test_batch_queue_and_images_have_to_go_together(batch_size, queue, images, message):
    with pytest.raises(ConfigError, match=message):
        MoCo.check(MoCoConfig(batch_size=batch_size, queue=queue), images)


@pytest.mark.parametrize(("batch_size", "queue", "images"), [(64, 64, 64), (64, 128, 500)])
def test_what_goes_together(batch_size, queue, images):
    MoCo.check(MoCoConfig(batch_size=batch_size, queue=queue), images)


@pytest.mark.parametrize("policy", [None, Mixup()])
def test_a_mixer_is_not_left_untrained_in_silence(policy):
    whole = learner_of("instance")
    with pytest.raises(ValueError, match="SAMix as the policy"):
        SelfSupervised(whole.method, policy=policy, mixer_training=whole.mixer_training)


def test_a_policy_that_needs_labels_gets_some_or_does_not_start():
    whole = learner_of("cluster", adjust=MaskAdjustConfig(mode="auto_label"))
    with pytest.raises(ValueError, match="needs labels or pseudo labels"):
        SelfSupervised(whole.method, policy=whole.policy)
