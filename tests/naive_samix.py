"""SAMix once more, in loops over samples and positions, after the numbered steps of the method.

Slow, plain and differentiable. It shares no code with the library; networks come in as functions.
"""

import math

import torch


def rescale(lam, k):
    if k < 0:
        return lam
    return (4 / 3 * lam**3 - 2 * lam**2 + (k + 1) * lam) / (k + 1 - 2 / 3)


def resampling(size, target, mode):
    """Matrix (target, size) that resizes one axis, half-pixel centres."""
    rows = torch.zeros(target, size, dtype=torch.float64)
    for i in range(target):
        x = (i + 0.5) * size / target - 0.5
        if mode == "nearest":
            rows[i, math.floor(i * size / target)] = 1
        elif mode == "bilinear":
            x = max(x, 0.0)
            low = math.floor(x)
            rows[i, low] += 1 - (x - low)
            rows[i, min(low + 1, size - 1)] += x - low
        else:  # Keys' cubic convolution with a = -0.75
            for j in range(math.floor(x) - 1, math.floor(x) + 3):
                rows[i, min(max(j, 0), size - 1)] += _cubic(abs(x - j))
    return rows


def _cubic(d, a=-0.75):
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def mixer(weights, config, first, second, lam, size, train=True):
    """Mask of the first parent (N, 1, H, W), attention (N, hw, hw) and content (N, hw), sample by sample.

    weights: the Mixer's tensors by name; maps (N, C, h, w).
    """
    n, channels, h, w = first.shape
    scale = rescale(lam, config.rescale_k)
    gamma = weights["gamma"]
    a = first * (1 + gamma * scale)
    b = second * (1 + gamma * (1 - scale))
    content = _content(weights, config, b, train).reshape(n, h * w)
    up_h = resampling(h, size[0], config.upsample)
    up_w = resampling(w, size[1], config.upsample)
    w_q, w_k = (weights[f"{name}.weight"][:, :, 0, 0] for name in ("query", "key"))
    masks, attentions = [], []
    for s in range(n):
        positions = [torch.cat([a[s, :, y, x], b[s, :, y, x]]) for y in range(h) for x in range(w)]
        queries = [w_q @ p + weights["query.bias"] for p in positions]
        keys = [w_k @ p + weights["key.bias"] for p in positions]
        rows = []
        for query in queries:
            exps = torch.stack([torch.exp((query * key).sum() / math.sqrt(channels // 2)) for key in keys])
            rows.append(exps / exps.sum())
        attentions.append(torch.stack(rows))
        mixed = torch.stack([(row * content[s]).sum() for row in rows]).reshape(h, w)
        if config.sigmoid_first:
            second_mask = (up_h @ (1 / (1 + torch.exp(-mixed))) @ up_w.T).clamp(0, 1)
        else:
            second_mask = 1 / (1 + torch.exp(-(up_h @ mixed @ up_w.T)))
        masks.append(1 - second_mask)
    return torch.stack(masks)[:, None], torch.stack(attentions), content


def _content(weights, config, x, train):
    """Convolution, BatchNorm, activation, convolution on one pixel at a time; (N, h, w)."""
    w_in, w_out = weights["content.0.weight"][:, :, 0, 0], weights["content.3.weight"][0, :, 0, 0]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    hidden = torch.stack([w_in @ pixel for pixel in pixels])
    if train:
        mean = hidden.sum(0) / len(hidden)
        variance = ((hidden - mean) ** 2).sum(0) / len(hidden)
    else:
        mean, variance = weights["content.1.running_mean"], weights["content.1.running_var"]
    hidden = (hidden - mean) / torch.sqrt(variance + 1e-5)
    hidden = hidden * weights["content.1.weight"] + weights["content.1.bias"]
    below = torch.exp(hidden.clamp(max=0)) - 1 if config.activation == "elu" else torch.zeros_like(hidden)
    out = torch.stack([(w_out * pixel).sum() for pixel in torch.where(hidden > 0, hidden, below)])
    return out.reshape(x.shape[0], *x.shape[2:])


def mean(values):
    return sum(values) / len(values)


def unit(x):
    return torch.stack([row / torch.sqrt((row * row).sum()) for row in x])


def info_nce(z, key, queue, t):
    """-log of the positive's share, one sample."""
    positive = torch.exp((z * key).sum() / t)
    return -torch.log(positive / (positive + sum(torch.exp((z * n).sum() / t) for n in queue)))


def cross_entropy(logits, label):
    return -torch.log(torch.exp(logits[label]) / torch.exp(logits).sum())


def binary(score_first, score_second, lam):
    """-lam log p - (1 - lam) log(1 - p), p the share of exp(score_first) among the two."""
    p = torch.exp(score_first) / (torch.exp(score_first) + torch.exp(score_second))
    return -lam * torch.log(p) - (1 - lam) * torch.log(1 - p)


def mask_loss(mask, lam, config):
    """Distance of the mean beyond the margin, minus the weighted variance; mean over what is counted."""
    groups = [m.flatten() for m in mask] if config.statistic == "sample" else [mask.flatten()]
    terms = []
    for pixels in groups:
        mu = pixels.sum() / pixels.numel()
        variance = ((pixels - mu) ** 2).sum() / pixels.numel()
        terms.append(
            torch.clamp(torch.abs(lam - mu) - config.margin, min=0) - config.variance_weight * variance
        )
    return mean(terms)


def adjust(mask, lam, margin):
    """Lambda adjusting of one mask (1, H, W)."""
    mu = mask.sum() / mask.numel()
    if mu > lam + margin:
        return mask * lam / mu
    if mu < lam - margin:
        return 1 - (1 - mask) * (1 - lam) / (1 - mu)
    return mask


def blend(images, index, masks):
    """masks[n] * images[n] + (1 - masks[n]) * images[index[n]], sample by sample."""
    return torch.stack(
        [masks[n] * images[n] + (1 - masks[n]) * images[j] for n, j in enumerate(index.tolist())]
    )
