"""`fit` over the real learners: figures that only some steps have, and a NaN that must not pass."""

import math

import pytest
import torch

from helpers import tiny_moco, tiny_supervised
from helpers.toys import toy_job, train
from samix.config.mixing import ClusterConfig
from samix.core.errors import TrainingError

pytestmark = pytest.mark.slow


class Tiny:
    """Batches of one of the tiny hosts; one image is spoilt at one step."""

    steps_per_epoch = 4

    def __init__(self, host, spoilt_at=None):
        self.host, self.spoilt_at = host, spoilt_at
        self.batch_size = host.BATCH

    def load(self, ctx):
        batch = self.host.batch_of(ctx.step)
        if ctx.step == self.spoilt_at:
            batch[0][1, 0, 3, 3] = math.nan
        return batch


HOSTS = {
    "moco": lambda **options: (tiny_moco, tiny_moco.learner_of("instance", **options)),
    "moco clusters": lambda **options: (tiny_moco, tiny_moco.learner_of("cluster", **options)),
    "supervised": lambda **options: (tiny_supervised, tiny_supervised.learner_of("samix", training=options)),
}
ALL_HOSTS = pytest.mark.parametrize("name", list(HOSTS))


@ALL_HOSTS
def test_rows_of_steps_with_and_without_the_mixer(tmp_path, name):
    """Interval 3: steps 0, 3, 6; each row has the Mixer's figures only if one of its steps has them."""
    host, learner = HOSTS[name](interval=3)
    history = train(toy_job(tmp_path / "one"), learner, Tiny(host), epochs=2)
    assert [row["step"] for row in history if "mixer_local" in row] == [1, 4, 7]
    assert all(math.isfinite(value) for row in history for value in row.values())
    host, learner = HOSTS[name](interval=3)
    rows = train(toy_job(tmp_path / "four", log_every=4), learner, Tiny(host), epochs=2)
    parts = [row["mixer_local"] for row in history if "mixer_local" in row]
    assert [row["mixer_local"] for row in rows] == pytest.approx([sum(parts[:2]) / 2, parts[2]], rel=1e-4)
    want = [sum(row["loss"] for row in history[i : i + 4]) / 4 for i in (0, 4)]
    assert [row["loss"] for row in rows] == pytest.approx(want, rel=1e-4)


@ALL_HOSTS
def test_the_mixer_rests_in_steps_without_it(tmp_path, name):
    """No momentum of its optimiser, no decay moves it: its parameters are those of the last step it had."""
    host, learner = HOSTS[name](interval=8)
    weights, mixer = [], learner.policy.mixer
    load = Tiny.load

    class Watched(Tiny):
        def load(self, ctx):
            weights.append([p.detach().clone() for p in mixer.parameters()])
            return load(self, ctx)

    train(toy_job(tmp_path), learner, Watched(host), epochs=2)
    assert not all(map(torch.equal, weights[0], weights[1]))
    for later in weights[2:]:
        assert all(map(torch.equal, weights[1], later))


@ALL_HOSTS
def test_a_spoilt_image_ends_the_training_and_nothing_of_it_is_saved(tmp_path, name):
    host, learner = HOSTS[name]()
    job = toy_job(tmp_path, checkpoint_every=4, log_every=4)
    with pytest.raises(TrainingError, match="the loss is not finite at step 5"):
        train(job, learner, Tiny(host, spoilt_at=5), epochs=2)
    saved = torch.load(job.work_dir / "fit.checkpoint.pt", weights_only=True)
    assert saved["step"] == 4
    assert all(t.isfinite().all() for t in saved["learner"].values())


@ALL_HOSTS
def test_a_nan_of_the_mixers_loss_alone_is_not_dropped(tmp_path, name):
    """The released code leaves such a term out of the sum, and trains on as if nothing had happened."""
    host, learner = HOSTS[name](eta=0.5)
    if name == "supervised":  # only the judge sees the momentum network's head
        learner.momentum_classifier.heads["mixed"].weight.data.fill_(math.nan)
        learner.after_step = lambda ctx: None
    else:
        learner.mixer_training.losses = spoil(learner.mixer_training.losses)
    with pytest.raises(TrainingError, match="the loss is not finite at step 0"):
        train(toy_job(tmp_path), learner, Tiny(host), epochs=1)
    assert not list(tmp_path.rglob("*.pt"))


def spoil(losses):
    def spoilt(*inputs):
        loss, metrics = losses(*inputs)
        return loss * math.nan, metrics

    return spoilt


@ALL_HOSTS
def test_a_mixer_without_numbers_is_not_saved(tmp_path, name):
    """Its NaN mask is replaced, so the loss is finite; its gradient is not, and so its weights are not."""
    host, learner = HOSTS[name]()
    mixer = learner.policy.mixer
    mixer.content[0].weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(TrainingError, match="weights are not finite after step 3"):
        train(toy_job(tmp_path, checkpoint_every=4, log_every=4), learner, Tiny(host), epochs=1)
    assert not list(tmp_path.rglob("*.pt"))


def test_clusters_start_at_their_epoch(tmp_path):
    """From the first step of epoch 1 on, the frozen head is asked."""
    learner = tiny_moco.learner_of("cluster", cluster=ClusterConfig(start_epoch=1))
    asked = []
    learner.mixer_training.frozen_head.register_forward_hook(lambda *_: asked.append(tiny.step))

    class Watched(Tiny):
        def load(self, ctx):
            self.step = ctx.step
            return super().load(ctx)

    tiny = Watched(tiny_moco)
    train(toy_job(tmp_path), learner, tiny, epochs=2)
    assert asked == [4, 5, 6, 7]
