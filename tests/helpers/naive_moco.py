"""One step of MoCo with SAMix, once more, after the numbered steps of the method (SAMix, SSL step).

Networks come in as modules and are called as functions; everything between them is written out.
"""

import math
from types import SimpleNamespace

import torch

from helpers import naive_draws as draws
from helpers import naive_samix as naive
from samix.core.step import StepContext
from samix.mixup import CutMix, SAMix

CROSS_VIEWS = {  # views of the first and the second parent, then of their targets
    "q2k": ("q", "q", "k", "k"),
    "swap": ("q", "k", "k", "q"),
    "same": ("q", "q", "q", "q"),
    "same_swap": ("q", "k", "q", "k"),
}


def project(net, images):
    """Maps, pooled features, their projection, and the projection normalised to length 1."""
    features = net.backbone(images)
    projected = net.projector(features.pooled)
    return SimpleNamespace(
        maps=features.tap, pooled=features.pooled, projection=projected, z=naive.unit(projected)
    )


def step(learner, batch, ctx: StepContext):
    """Loss of one step; gradients go to the parameters of `learner`, which is a copy to be used up."""
    method = learner.method
    config, f_q, f_k = method.config, method.encoder, method.momentum_encoder
    n = len(batch.index)
    # 2. momentum update before anything is computed
    with torch.no_grad():
        for slow, fast in zip(f_k.parameters(), f_q.parameters(), strict=True):
            slow.copy_(config.ema * slow + (1 - config.ema) * fast)
    # 3. query
    query = project(f_q, batch.view_q)
    # 4. outputs of the momentum encoder for the views
    seen = _look(learner, batch)
    keys = seen["k"].z
    # 5. plain loss
    nce = naive.mean([_nce(learner, query.z[i], keys[i]) for i in range(n)])
    out = SimpleNamespace(loss=nce, keys=keys, loss_ssl=nce)
    if learner.policy is None:
        return out
    # 6.-9. the encoder's mix
    views = {"q": batch.view_q, "k": batch.view_k}
    one, two, target_one, target_two = CROSS_VIEWS[config.cross_view]
    labels = None if learner.labels is None else learner.labels.labels[batch.index].tolist()
    sides = SimpleNamespace(
        images=(views[one], views[two]),
        maps=(seen[one].maps, seen[two].maps) if _maps_are_wanted(learner) else None,
        keys=(seen[target_one].z, seen[target_two].z),
        labels=labels,
    )
    index = draws.shared_pairing(ctx, "pairing", n)
    lam = draws.lam(ctx, learner.alpha)
    images, label_lam = _encoder_mix(learner, sides, index, lam, ctx)
    z_m = project(f_q, images).z
    out.loss_mixed = _mixed_nce(learner, z_m, sides, index, label_lam)
    out.loss = out.loss + out.loss_mixed
    # 10. the Mixer
    if learner.mixer_training is not None:
        out.loss = out.loss + _mixer_losses(learner, sides, seen["q"], query, ctx, out)
    return out


def after(learner, batch, out):
    """12. and what follows it: queue, memory, centroids."""
    queue = learner.method.queue
    for n, image in enumerate(batch.index.tolist()):
        place = (int(queue.position) + n) % len(queue.keys)
        queue.keys[place], queue.index[place] = out.keys[n], image
    queue.position.fill_((int(queue.position) + len(batch.index)) % len(queue.keys))
    if learner.mixer_training is not None:
        gamma = learner.mixer_training.mixer.gamma
        gamma.data.fill_(min(1.0, max(0.0, gamma.item())))
    memory = getattr(learner.labels, "memory", None)
    if memory is None:
        return
    mu, changed = memory.config.new_feature_weight, 0
    for n, image in enumerate(batch.index.tolist()):
        row = _unit((1 - mu) * memory.features[image] + mu * _unit(out.keys[n]))
        scores = [(row * centroid).sum().item() for centroid in memory.centroids]
        changed += scores.index(max(scores)) != memory.labels[image]
        memory.features[image], memory.labels[image] = row, scores.index(max(scores))
    learner.labels.change_ratio.fill_(changed / len(batch.index))
    for cluster in range(len(memory.centroids)):
        members = [memory.features[i] for i, y in enumerate(memory.labels.tolist()) if y == cluster]
        if members:
            memory.centroids[cluster] = sum(members) / len(members)


def _unit(row):
    """The memory adds 1e-10 to each length."""
    return row / (torch.sqrt((row * row).sum()) + 1e-10)


def _maps_are_wanted(learner):
    return isinstance(learner.policy, SAMix)


@torch.no_grad()
def _look(learner, batch):
    """Both views in one pass where both are wanted, for the maps or for the targets; else view k alone."""
    slow = learner.method.momentum_encoder
    needs_q = learner.policy is not None and learner.method.config.cross_view != "q2k"
    if not (_maps_are_wanted(learner) or needs_q):
        return {"q": SimpleNamespace(maps=None), "k": project(slow, batch.view_k)}
    both, n = project(slow, torch.cat([batch.view_q, batch.view_k])), len(batch.index)
    return {
        view: SimpleNamespace(**{name: x[rows] for name, x in vars(both).items()})
        for view, rows in (("q", slice(0, n)), ("k", slice(n, 2 * n)))
    }


def _nce(learner, z, key, label=None):
    """label: that of the target; keys in the queue with the same label are not negatives."""
    queue, images = learner.method.queue.keys.clone(), learner.method.queue.index.tolist()
    if label is not None:
        known = learner.labels.labels.tolist()
        keep = [k for k, image in enumerate(images) if image < 0 or known[image] != label]
        queue = queue[keep]
    return naive.info_nce(z, key, queue, learner.method.config.temperature)


def _mixed_nce(learner, z, sides, index, lam, filtered=False):
    first, second = sides.keys
    label = sides.labels if filtered else [None] * len(z)
    return naive.mean(
        [
            lam * _nce(learner, z[i], first[i], label[i])
            + (1 - lam) * _nce(learner, z[i], second[j], label[j])
            for i, j in enumerate(index.tolist())
        ]
    )


def _mix(sides, index, masks):
    first, second = sides.images
    pairs = zip(masks, first, second[index], strict=True)
    return torch.stack([mask * a + (1 - mask) * b for mask, a, b in pairs])


def _encoder_mix(learner, sides, index, lam, ctx):
    policy, images = learner.policy, sides.images
    if not _maps_are_wanted(learner):
        size, masks = images[0].shape[2:], torch.full((len(index), 1, 1, 1), lam)
        if isinstance(policy, CutMix):
            box, lam = draws.cut_box(ctx.numpy_generator("policy"), lam, size)
            masks = draws.cut_masks(box, len(index), size)
        return _mix(sides, index, masks), lam
    weights = {name: t.detach() for name, t in policy.mixer.state_dict().items()}
    first, second = sides.maps
    masks, _, _ = naive.mixer(weights, policy.mixer.config, first, second[index], lam, images[0].shape[2:])
    adjusted = []
    for i, j in enumerate(index.tolist()):
        mask = naive.adjust(masks[i].clamp(1e-8, 1 - 1e-8), lam, policy.adjust.margin)
        if policy.adjust.mode == "auto_label" and sides.labels[i] == sides.labels[j]:
            mask = torch.full_like(mask, lam)
        adjusted.append(mask)
    return _mix(sides, index, adjusted), lam


def _mixer_losses(learner, sides, plain, query, ctx, out):
    training = learner.mixer_training
    config, n = training.config, len(plain.z)
    head_loss, mixed, extra = 0.0, None, 0.0
    if ctx.step % config.interval == 0:
        index = draws.shared_pairing(ctx, "pairing_mixer", n)
        lam = draws.lam(ctx, config.alpha, "lam_mixer")
        weights = dict(training.mixer.named_parameters())
        first, second = sides.maps
        size = sides.images[0].shape[2:]
        masks, _, _ = naive.mixer(weights, training.mixer.config, first, second[index], lam, size)
        mixed = project(learner.method.momentum_encoder, _mix(sides, index, masks))
        extra = _scored(learner, sides, mixed, (index, lam), ctx, out)
        beta = config.mask_loss.weight * (1 - ctx.step / ctx.total_steps)
        out.mask_loss = naive.mask_loss(masks, lam, config.mask_loss)
        extra = extra + beta * out.mask_loss
    if config.objective == "cluster":
        ce = ClusterLosses(learner, sides)
        clean = ce.outputs(plain, detached=True)
        head_loss = naive.mean([ce.point(clean[i], sides.labels[i]) for i in range(n)])
        if mixed is not None:
            head_loss = head_loss + ce.mixed(ce.outputs(mixed, detached=True), index, lam)
        out.head_loss = head_loss
        if config.cluster.train_encoder:
            frozen = ce.outputs(query, frozen=True)
            extra = extra + naive.mean([ce.point(frozen[i], sides.labels[i]) for i in range(n)])
    return extra + head_loss


def _scored(learner, sides, mixed, pair, ctx, out):
    """The Mixer's classification loss."""
    config, (index, lam) = learner.mixer_training.config, pair
    pairs, t = list(enumerate(index.tolist())), learner.method.config.temperature
    by_cluster = config.objective == "cluster" and ctx.epoch >= config.cluster.start_epoch
    if by_cluster:
        ce = ClusterLosses(learner, sides)
        logits = ce.outputs(mixed, frozen=True)
        local, whole = ce.binary(logits, index, lam), ce.mixed(logits, index, lam)
    else:
        z, (first, second) = mixed.z, sides.keys
        local = naive.mean([naive.binary(z[i] @ first[i] / t, z[i] @ second[j] / t, lam) for i, j in pairs])
        whole = _mixed_nce(learner, z, sides, index, lam, config.filter_negatives)
    out.mixer_local, out.mixer_global = local.detach(), whole.detach()
    if config.loss == "global":
        return whole
    if config.loss == "global_aux_local":
        return whole + 0.5 * (1 + math.cos(math.pi * ctx.step / ctx.total_steps)) / 2 * local
    if config.loss == "sigmoid_negweight":
        return ce.sigmoid(logits, index, lam, config.eta)
    return local + config.eta * whole


class ClusterLosses:
    """The cluster head's losses, sample by sample and class by class."""

    def __init__(self, learner, sides):
        self.head, self.labels = learner.mixer_training.head, sides.labels
        self.features = learner.mixer_training.config.cluster.features
        counts = torch.bincount(learner.labels.labels, minlength=learner.labels.classes).tolist()
        if hasattr(learner.labels, "memory"):
            inverse = [(count + 1e-5) ** -learner.labels.memory.config.reweight_power for count in counts]
            self.weights = [w * len(inverse) / sum(inverse) for w in inverse]
        else:
            self.weights = learner.labels.weights.tolist()

    def outputs(self, encoded, detached=False, frozen=False):
        x = encoded.pooled if self.features == "pooled" else encoded.projection
        x = x.detach() if detached else x
        weight, bias = self.head.weight, self.head.bias
        if frozen:
            weight, bias = weight.detach(), bias.detach()
        return [weight @ row + bias for row in x]

    def point(self, logits, label):
        return self.weights[label] * naive.cross_entropy(logits, label)

    def mixed(self, logits, index, lam):
        y = self.labels
        pairs = enumerate(index.tolist())
        return naive.mean(
            [lam * self.point(logits[i], y[i]) + (1 - lam) * self.point(logits[i], y[j]) for i, j in pairs]
        )

    def binary(self, logits, index, lam):
        y = self.labels
        differ = [(i, j) for i, j in enumerate(index.tolist()) if y[i] != y[j]]
        terms = [naive.binary(logits[i][y[i]], logits[i][y[j]], lam) for i, j in differ]
        return sum(terms, start=torch.zeros(())) / max(1, len(terms))

    def sigmoid(self, logits, index, lam, eta):
        total = 0.0
        for i, j in enumerate(index.tolist()):
            for c, o in enumerate(logits[i]):
                y = lam * (self.labels[i] == c) + (1 - lam) * (self.labels[j] == c)
                p = 1 / (1 + torch.exp(-o))
                weight = 1.0 if c in (self.labels[i], self.labels[j]) else eta
                total = total - weight * (y * torch.log(p) + (1 - y) * torch.log(1 - p))
        return total / len(logits)
