"""One step of supervised training with SAMix, once more, after the numbered steps of the method (SL step).

Networks come in as modules and are called as functions; everything between them is written out.
"""

import math
from types import SimpleNamespace

import torch

from helpers import naive_draws as draws
from helpers import naive_samix as naive
from samix.core.step import StepContext
from samix.mixup import CutMix, SAMix, SAMixP


def logits_of(net, images, name):
    """Logits of the head called `name`, or of the only head if it is shared."""
    heads = list(net.heads.values())
    head = heads[0] if len(heads) == 1 else net.heads[name]
    return [head.weight @ row + head.bias for row in net.backbone(images).pooled]


def step(learner, batch, ctx: StepContext):
    """Losses of one step; gradients go to the parameters of `learner`, which is a copy to be used up."""
    f_q, f_k, x, labels = learner.classifier, learner.momentum_classifier, batch.images, batch.labels.tolist()
    online = isinstance(learner.policy, SAMix) and not isinstance(learner.policy, SAMixP)
    out = SimpleNamespace(loss=torch.zeros(()))
    # 3. maps, without gradient
    with torch.no_grad():
        maps = f_k.backbone(x).tap if online else None
    # 8. plain images
    weight = learner.config.plain_weight
    if weight is None:
        weight = 1.0 if isinstance(learner.policy, SAMix) else 0.0
    if learner.policy is None:
        weight = 1.0
    if weight:
        out.loss_plain = _plain(learner, x, labels, ctx)
        out.loss = out.loss + weight * out.loss_plain
    if learner.policy is None:
        return out
    # 2. and 4.-8. the q-pair trains the encoder
    index = draws.local_pairing(ctx, "pairing", len(x), learner.config.no_repeat)
    lam = draws.lam(ctx, learner.alpha)
    images, share = _encoder_mix(learner, x, maps, index, lam, ctx)
    out.loss_mixed = mixed_ce(learner, logits_of(f_q, images, "mixed"), labels, index, share)
    out.loss = out.loss + out.loss_mixed
    # 2. and 4.-7. the k-pair trains the Mixer
    training = learner.mixer_training
    if training is not None and ctx.step % training.config.interval == 0:
        out.loss = out.loss + _mixer_losses(learner, x, maps, labels, ctx, out)
    return out


def after(learner, ctx: StepContext):
    """10. gamma in range, then the momentum network follows, by this step's m."""
    if learner.mixer_training is not None:
        gamma = learner.mixer_training.mixer.gamma
        gamma.data.fill_(min(1.0, max(0.0, gamma.item())))
    if learner.momentum_classifier is None:
        return
    options, t, total = learner.config.ema, ctx.step, ctx.total_steps
    m = options.start
    if options.end is not None and t >= math.floor(options.hold * total):
        m = options.end - (options.end - options.start) * (math.cos(math.pi * t / total) + 1) / 2
    slow, fast = learner.momentum_classifier, learner.classifier
    with torch.no_grad():
        for name, parameter in slow.named_parameters():
            parameter.copy_(m * parameter + (1 - m) * fast.get_parameter(name))
        for name, buffer in slow.named_buffers() if options.ema_buffers else ():
            new = fast.get_buffer(name)
            buffer.copy_(m * buffer + (1 - m) * new if buffer.is_floating_point() else new)


def ce(learner, logits, label):
    """Cross-entropy with target (1 - e) y + e / C."""
    e, classes = learner.config.label_smoothing, len(logits)
    return sum(
        (e / classes + (1 - e) * (c == label)) * naive.cross_entropy(logits, c) for c in range(classes)
    )


def mixed_ce(learner, logits, labels, index, lam):
    return naive.mean(
        [
            lam * ce(learner, logits[i], labels[i]) + (1 - lam) * ce(learner, logits[i], labels[j])
            for i, j in enumerate(index.tolist())
        ]
    )


def _plain(learner, x, labels, ctx):
    if not learner.config.plain_mix:
        logits = logits_of(learner.classifier, x, "plain")
        return naive.mean([ce(learner, logits[i], label) for i, label in enumerate(labels)])
    scalars = ctx.numpy_generator("plain_mix")
    as_mixup = scalars.random() < 0.5
    lam = float(scalars.beta(0.8, 0.8) if as_mixup else scalars.beta(1.0, 1.0))
    index = draws.local_pairing(ctx, "pairing_plain", len(x), learner.config.no_repeat)
    images, lam = static_mix(x, index, lam, None if as_mixup else scalars)
    return mixed_ce(learner, logits_of(learner.classifier, images, "plain"), labels, index, lam)


def static_mix(x, index, lam, generator):
    """Mixup, or CutMix with a generator of its box; images and the share of the first ones."""
    masks, size = torch.full((len(x), 1, 1, 1), lam), x.shape[2:]
    if generator is not None:
        box, lam = draws.cut_box(generator, lam, size)
        masks = draws.cut_masks(box, len(x), size)
    return naive.blend(x, index, masks), lam


def _encoder_mix(learner, x, maps, index, lam, ctx):
    policy, generator = learner.policy, ctx.numpy_generator("policy")
    if not isinstance(policy, SAMix):
        return static_mix(x, index, lam, generator if isinstance(policy, CutMix) else None)
    frozen = isinstance(policy, SAMixP)
    if frozen:
        maps = policy.backbone.tap_map(x * policy.scale + policy.shift).detach()
    weights = {name: t.detach() for name, t in policy.mixer.state_dict().items()}
    masks, _, _ = naive.mixer(
        weights, policy.mixer.config, maps, maps[index], lam, x.shape[2:], train=not frozen
    )
    adjust = policy.adjust
    if min(lam, 1 - lam) <= adjust.lam_margin:
        masks = torch.full_like(masks, lam)
    elif adjust.mode == "auto" or (adjust.mode == "prob" and generator.random() < adjust.probability):
        margin = adjust.margin if adjust.mode == "auto" else 0.0
        masks = torch.stack([naive.adjust(mask.clamp(1e-8, 1 - 1e-8), lam, margin) for mask in masks])
    return naive.blend(x, index, masks), lam


def _mixer_losses(learner, x, maps, labels, ctx, out):
    config, mixer = learner.mixer_training.config, learner.mixer_training.mixer
    index = draws.local_pairing(ctx, "pairing_mixer", len(x), learner.config.no_repeat)
    lam = draws.lam(ctx, config.alpha, "lam_mixer")
    weights = dict(mixer.named_parameters())
    masks, _, _ = naive.mixer(weights, mixer.config, maps, maps[index], lam, x.shape[2:])
    logits = logits_of(learner.momentum_classifier, naive.blend(x, index, masks), "mixed")
    differ = [(i, j) for i, j in enumerate(index.tolist()) if labels[i] != labels[j]]
    terms = [naive.binary(logits[i][labels[i]], logits[i][labels[j]], lam) for i, j in differ]
    out.mixer_local = sum(terms, start=torch.zeros(())) / max(1, len(terms))
    out.mixer_global = mixed_ce(learner, logits, labels, index, lam)
    out.mask_loss = naive.mask_loss(masks, lam, config.mask_loss)
    beta = config.mask_loss.weight * (1 - ctx.step / ctx.total_steps)
    if config.loss == "global":
        return out.mixer_global + beta * out.mask_loss
    return out.mixer_local + config.eta * out.mixer_global + beta * out.mask_loss
