"""RegMixup (Pinto et al., 2022) is a setting of the supervised training: its formula, for eta = 1."""

import copy

import numpy as np
import pytest
import torch

from helpers.steps import step_of
from helpers.tiny_supervised import BATCH, batch_of, context, learner_of
from samix.core.random import generator_for


def cross_entropies(network, images, labels):
    """-log softmax of each image's logits at its label, in float64."""
    head = next(iter(network.heads.values()))
    logits = (network.backbone(images).pooled.double() @ head.weight.double().T + head.bias.double()).tolist()
    return [np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)]


@pytest.mark.parametrize("alpha", [10.0, 20.0])
@pytest.mark.parametrize("step", [1, 2])
def test_the_loss_of_regmixup(alpha, step):
    """CE(x, y) + lam CE(x_m, y) + (1 - lam) CE(x_m, y'), x_m = lam x + (1 - lam) x', under one head."""
    learner = learner_of("mixup", plain_weight=1.0, heads="shared", label_smoothing=0.0)
    learner.alpha = alpha
    network, batch, ctx = copy.deepcopy(learner.classifier), batch_of(step), context(step)
    lam = float(ctx.numpy_generator("lam").beta(alpha, alpha))
    index = torch.randperm(BATCH, generator=generator_for(ctx.seed, "pairing", ctx.step, ctx.rank))
    with torch.no_grad():
        labels, partners = batch.labels.tolist(), batch.labels[index].tolist()
        images = lam * batch.images + (1 - lam) * batch.images[index]
        plain = cross_entropies(network, batch.images, labels)
        own, other = (cross_entropies(network, images, these) for these in (labels, partners))
    want = np.mean(plain) + np.mean(lam * np.array(own) + (1 - lam) * np.array(other))
    assert list(learner.classifier.heads) == ["plain"]
    assert step_of(learner, batch, ctx)["loss"].item() == pytest.approx(want, rel=1e-5)
    assert 0.2 < lam < 0.8 and index.tolist() != list(range(BATCH))  # or nothing would be mixed
