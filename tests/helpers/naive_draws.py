"""The draws of a step, once more, from its streams: the calls that the library makes, in their order.

That these are the recorded bits of every policy is proven by mixup/test_recorded_draws.py.
"""

import math

import torch

from samix.core.random import generator_for


def lam(ctx, alpha, stream="lam"):
    """One number per batch from Beta(alpha, alpha)."""
    return float(ctx.numpy_generator(stream).beta(alpha, alpha))


def shared_pairing(ctx, stream, n):
    """Partners of n rows of a single process, equal on all ranks: no image meets itself."""
    return derangement(generator_for(ctx.seed, stream, ctx.step), n)


def local_pairing(ctx, stream, n, no_repeat):
    """Partners among the rows of this process, which may meet themselves unless `no_repeat`."""
    generator = generator_for(ctx.seed, stream, ctx.step, ctx.rank)
    return derangement(generator, n) if no_repeat else torch.randperm(n, generator=generator)


def derangement(generator, n):
    """Up to 10 permutations until one has no fixed point; then a cyclic shift by one drawn number."""
    for _ in range(10):
        index = torch.randperm(n, generator=generator)
        if all(i != j for i, j in enumerate(index.tolist())):
            return index
    shift = int(torch.randint(1, max(2, n - 1), (1,), generator=generator))
    return torch.tensor([(i - shift) % n for i in range(n)])


def cut_box(rng, lam, size):
    """CutMix's box, rows then columns, and the share of the pixels outside of it."""
    spans, inside = [], 1
    for side in size:
        half = int(side * math.sqrt(1 - lam)) // 2
        centre = int(rng.integers(side))
        spans.append((max(0, centre - half), min(side, centre + half)))
        inside *= spans[-1][1] - spans[-1][0]
    return spans, 1 - inside / (size[0] * size[1])


def cut_masks(spans, n, size):
    """0 in the box, 1 elsewhere: (n, 1, H, W)."""
    (top, bottom), (left, right) = spans
    rows = [
        [0.0 if top <= y < bottom and left <= x < right else 1.0 for x in range(size[1])]
        for y in range(size[0])
    ]
    return torch.tensor(rows).expand(n, 1, *size)
