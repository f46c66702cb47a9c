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

    weights: the Mixer's tensors by name; maps (N, C, h, w); config: without lists.
    """
    n, channels, h, w = first.shape
    a, b = encode(weights, config, first, second, lam)
    content = _content(weights, config, b, train).reshape(n, h * w)
    if config.attention == "concat":
        pair = torch.cat([a, b], 1)
        queries, keys = (_project(weights, name, config, pair, train) for name in ("query", "key"))
    else:
        queries, keys = (_project(weights, "query", config, x, train) for x in (a, b))
    up_h = resampling(h, size[0], config.upsample)
    up_w = resampling(w, size[1], config.upsample)
    masks, attentions = [], []
    for s in range(n):
        rows = []
        for query in queries[s]:
            exps = torch.exp((query * keys[s]).sum(1) / math.sqrt(channels // 2))
            rows.append(exps / exps.sum())
        attentions.append(torch.stack(rows))
        mixed = torch.stack([(row * content[s]).sum() for row in rows]).reshape(h, w)
        if config.sigmoid_first:
            second_mask = (up_h @ (1 / (1 + torch.exp(-mixed))) @ up_w.T).clamp(0, 1)
        else:
            second_mask = 1 / (1 + torch.exp(-(up_h @ mixed @ up_w.T)))
        masks.append(1 - second_mask)
    return torch.stack(masks)[:, None], torch.stack(attentions), content


def encode(weights, config, first, second, lam):
    """Both maps with their share of the mix in them."""
    if config.encoding == "none":
        return first, second
    if config.encoding == "adaptive":
        scale, gamma = rescale(lam, config.rescale_k), weights["gamma"]
        return first * (1 + gamma * scale), second * (1 + gamma * (1 - scale))
    n, channels, h, w = first.shape
    out = []
    for maps, share in ((first, lam), (second, 1 - lam)):
        longer = maps.new_zeros(n, channels + 1, h, w)
        longer[:, :channels] = maps
        longer[:, channels] = share
        out.append(longer)
    return out


def _pixels(x):
    """(N, C, h, w) -> (N * h * w, C), one sample after the other."""
    return torch.stack(
        [x[s, :, i, j] for s in range(len(x)) for i in range(x.shape[2]) for j in range(x.shape[3])]
    )


def _project(weights, name, config, x, train):
    """Queries or keys (N, hw, d)."""
    if config.qk_norm:
        out = torch.stack([weights[f"{name}.0.weight"][:, :, 0, 0] @ pixel for pixel in _pixels(x)])
        out = _batch_norm(weights, f"{name}.1", out, train)
    else:
        w, bias = weights[f"{name}.weight"][:, :, 0, 0], weights[f"{name}.bias"]
        out = torch.stack([w @ pixel + bias for pixel in _pixels(x)])
    return out.reshape(len(x), x.shape[2] * x.shape[3], -1)


def _batch_norm(weights, name, rows, train):
    if train:
        mu = rows.sum(0) / len(rows)
        variance = ((rows - mu) ** 2).sum(0) / len(rows)
    else:
        mu, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return (rows - mu) / torch.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _layer_norm(weights, name, rows):
    out = []
    for row in rows:
        mu = row.sum() / len(row)
        variance = ((row - mu) ** 2).sum() / len(row)
        out.append((row - mu) / torch.sqrt(variance + 1e-6))
    return torch.stack(out) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _content(weights, config, x, train):
    """Convolution, norm, activation, convolution on one pixel at a time, or one convolution; (N * h * w,)."""
    w_in, pixels = weights["content.0.weight"][:, :, 0, 0], _pixels(x)
    if config.content == "linear":
        return torch.stack([(w_in[0] * pixel).sum() + weights["content.0.bias"][0] for pixel in pixels])
    w_out = weights["content.3.weight"][0, :, 0, 0]
    hidden = torch.stack([w_in @ pixel for pixel in pixels])
    if config.norm == "batch":
        hidden = _batch_norm(weights, "content.1", hidden, train)
    else:
        hidden = _layer_norm(weights, "content.1", hidden)
    below = torch.exp(hidden.clamp(max=0)) - 1 if config.activation == "elu" else torch.zeros_like(hidden)
    return torch.stack([(w_out * pixel).sum() for pixel in torch.where(hidden > 0, hidden, below)])


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
    """What config.mode names; mean over what is counted."""
    groups = [m.flatten() for m in mask] if config.statistic == "sample" else [mask.flatten()]
    terms = []
    for pixels in groups:
        mu = pixels.sum() / pixels.numel()
        variance = ((pixels - mu) ** 2).sum() / pixels.numel()
        if config.mode == "sparsity":
            away = sum(torch.abs(s * (s - 1)) for s in pixels) / pixels.numel() - config.margin
        elif config.mode == "l2_variance":
            away = (lam - mu) ** 2 - config.margin**2
        else:
            away = torch.abs(lam - mu) - config.margin
        term = torch.clamp(away, min=0)
        if config.mode.endswith("variance"):
            term = term - config.variance_weight * variance
        terms.append(term)
    return mean(terms)


def adjust(mask, lam, margin):
    """Lambda adjusting of one mask (1, H, W)."""
    mu = mask.sum() / mask.numel()
    if mu > lam + margin:
        return mask * lam / mu
    if mu < lam - margin:
        return 1 - (1 - mask) * (1 - lam) / (1 - mu)
    return mask


def smooth(mask, sigma, reach):
    """Gaussian blur of one mask (1, H, W) within `reach` (rows, columns), edges mirrored: the double sum."""
    h, w = mask.shape[1:]
    out = torch.zeros_like(mask)
    for y in range(h):
        for x in range(w):
            total = 0.0
            for dy in range(-reach[0], reach[0] + 1):
                for dx in range(-reach[1], reach[1] + 1):
                    weight = math.exp(-(dy * dy + dx * dx) / (2 * sigma * sigma))
                    total += weight
                    out[0, y, x] += weight * mask[0, _mirror(y + dy, h), _mirror(x + dx, w)]
            out[0, y, x] /= total
    return out


def _mirror(i, size):
    """Index across an edge, whose own pixel is not repeated."""
    i = abs(i)
    return i if i < size else 2 * (size - 1) - i


def blend(images, index, masks):
    """masks[n] * images[n] + (1 - masks[n]) * images[index[n]], sample by sample."""
    return torch.stack(
        [masks[n] * images[n] + (1 - masks[n]) * images[j] for n, j in enumerate(index.tolist())]
    )
