"""One step of MoCo with SAMix, once more, after the numbered steps of the method (SAMix, SSL step).

Networks come in as modules and are called as functions; everything between them is written out.
"""

from types import SimpleNamespace

import naive_samix as naive
import torch

from samix.core.step import StepContext
from samix.mixup import draw_lam, draw_pairing


def project(net, images):
    """Pooled features and unit projection."""
    features = net.backbone(images)
    return features.tap, features.pooled, naive.unit(net.projector(features.pooled))


def step(learner, batch, ctx: StepContext):
    """Loss of one step; gradients go to the parameters of `learner`, which is a copy to be used up."""
    config, t, queue = learner.config, learner.config.temperature, learner.queue.keys.clone()
    f_q, f_k = learner.encoder, learner.momentum_encoder
    n = len(batch.index)
    # 2. momentum update before anything is computed
    with torch.no_grad():
        for slow, fast in zip(f_k.parameters(), f_q.parameters(), strict=True):
            slow.copy_(config.momentum * slow + (1 - config.momentum) * fast)
    # 3. query
    _, _, z = project(f_q, batch.view_q)
    # 4. maps of both views and keys, in one pass where maps are wanted
    with torch.no_grad():
        if learner.policy is not None and learner.policy.needs_features:
            maps, pooled, both = project(f_k, torch.cat([batch.view_q, batch.view_k]))
            maps, pooled, keys = maps[:n], pooled[:n], both[n:]
        else:
            maps, pooled, keys = None, None, project(f_k, batch.view_k)[2]
    # 5. plain loss
    nce = naive.mean([naive.info_nce(z[i], keys[i], queue, t) for i in range(n)])
    out = SimpleNamespace(loss=nce, keys=keys, loss_ssl=nce)
    if learner.policy is None:
        return out
    # 6.-9. the encoder's mix
    index = draw_pairing(n, ctx.shared_generator("pairing")).index
    lam = draw_lam(learner.alpha, ctx.numpy_generator("lam"))
    images, label_lam = _encoder_mix(learner, batch.view_q, maps, index, lam, ctx)
    _, _, z_m = project(f_q, images)
    out.loss_mixed = naive.mean(
        [
            label_lam * naive.info_nce(z_m[i], keys[i], queue, t)
            + (1 - label_lam) * naive.info_nce(z_m[i], keys[j], queue, t)
            for i, j in enumerate(index.tolist())
        ]
    )
    out.loss = out.loss + out.loss_mixed
    # 10. the Mixer
    if learner.mixer_training is not None:
        out.loss = out.loss + _mixer_losses(learner, batch, (maps, pooled, keys, queue), ctx, out)
    return out


def _encoder_mix(learner, images, maps, index, lam, ctx):
    policy = learner.policy
    if maps is None:  # a policy without a Mixer: its own tests say what it does
        mixed = policy(images, images[index], lam, generator=ctx.numpy_generator("policy"), guides=None)
        return mixed.images, mixed.lam
    weights = {name: t.detach() for name, t in policy.mixer.state_dict().items()}
    masks, _, _ = naive.mixer(weights, policy.mixer.config, maps, maps[index], lam, images.shape[2:])
    margin = policy.adjust.margin
    masks = torch.stack([naive.adjust(mask.clamp(1e-8, 1 - 1e-8), lam, margin) for mask in masks])
    return naive.blend(images, index, masks), lam


def _mixer_losses(learner, batch, seen, ctx, out):
    training, t = learner.mixer_training, learner.config.temperature
    config, (maps, pooled, keys, queue) = training.config, seen
    n, images = len(batch.index), batch.view_q
    index = draw_pairing(n, ctx.shared_generator("pairing_mixer")).index
    lam = draw_lam(config.alpha, ctx.numpy_generator("lam_mixer"))
    weights = dict(training.mixer.named_parameters())
    masks, _, _ = naive.mixer(weights, training.mixer.config, maps, maps[index], lam, images.shape[2:])
    _, mixed_pooled, z_m = project(learner.momentum_encoder, naive.blend(images, index, masks))
    pairs = list(enumerate(index.tolist()))
    extra = 0.0
    if config.objective == "instance":
        local = naive.mean([naive.binary(z_m[i] @ keys[i] / t, z_m[i] @ keys[j] / t, lam) for i, j in pairs])
        whole = naive.mean(
            [
                lam * naive.info_nce(z_m[i], keys[i], queue, t)
                + (1 - lam) * naive.info_nce(z_m[i], keys[j], queue, t)
                for i, j in pairs
            ]
        )
    else:
        labels, w = training.labels[batch.index].tolist(), training.weights
        head, bias = training.head.weight, training.head.bias
        frozen = [head.detach() @ x + bias.detach() for x in mixed_pooled]
        differ = [(i, j) for i, j in pairs if labels[i] != labels[j]]
        local = sum(
            (naive.binary(frozen[i][labels[i]], frozen[i][labels[j]], lam) for i, j in differ),
            start=torch.zeros(()),
        ) / max(1, len(differ))

        def mixed_ce(logits):
            return naive.mean(
                [
                    lam * w[labels[i]] * naive.cross_entropy(logits[i], labels[i])
                    + (1 - lam) * w[labels[j]] * naive.cross_entropy(logits[i], labels[j])
                    for i, j in pairs
                ]
            )

        whole = mixed_ce(frozen)
        clean = [head @ x + bias for x in pooled]
        extra = naive.mean([w[labels[i]] * naive.cross_entropy(clean[i], labels[i]) for i in range(n)])
        extra = extra + mixed_ce([head @ x.detach() + bias for x in mixed_pooled])
        out.head_loss = extra
    beta = config.mask_loss.weight * (1 - ctx.step / ctx.total_steps)
    out.mixer_local, out.mixer_global = local, whole
    out.mask_loss = naive.mask_loss(masks, lam, config.mask_loss)
    return local + config.eta * whole + beta * out.mask_loss + extra
