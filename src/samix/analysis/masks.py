"""Pictures of what a Mixer has learnt."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from samix.data import ImageStore, Normalize
from samix.mixup import SAMixP

LAMS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
"""The sweep of lam that the paper shows."""


@torch.no_grad()
def mask_sheet(policy: SAMixP, first: Tensor, second: Tensor, normalize: Normalize) -> Figure:
    """x_i | x_j | masks over lam, and below them the mixed images, for each pair.

    Args: first, second (n, 3, S, S) uint8, n pairs; normalize, as the policy's images are.
    The masks are the Mixer's own, before lambda adjusting.
    """
    first, second = normalize.crop(first), normalize.crop(second)
    masks = [policy.inspect(normalize(first), normalize(second), lam).mask for lam in LAMS]
    columns = 2 + len(LAMS)
    figure = Figure(figsize=(1.1 * columns, 2.3 * len(first) + 0.4), layout="constrained")
    axes = figure.subplots(2 * len(first), columns, squeeze=False)
    for pair, (x, y) in enumerate(zip(first / 255, second / 255, strict=True)):
        upper, lower = axes[2 * pair], axes[2 * pair + 1]
        _show(upper[0], x, "" if pair else "$x_i$")
        _show(upper[1], y, "" if pair else "$x_j$")
        for ax in lower[:2]:
            ax.axis("off")
        for column, (lam, mask) in enumerate(zip(LAMS, masks, strict=True), start=2):
            own = mask[pair]
            over = "" if pair else f"$\\lambda$ = {lam:g}\n"
            _show(upper[column], own, f"{over}mean {float(own.mean()):.2f}", cmap="viridis")
            _show(lower[column], own * x + (1 - own) * y, "")
    figure.suptitle("Mask $s_i$ of the first image (yellow 1, purple 0) and the mixed image, over $\\lambda$")
    return figure


@torch.no_grad()
def attention_sheet(policy: SAMixP, first: Tensor, second: Tensor, normalize: Normalize) -> Figure:
    """Parts of the mask at lam = 0.5: content map of x_j, attention of the centre of x_i, the mask.

    Args: first, second (n, 3, S, S) uint8.
    """
    lam = 0.5
    first, second = normalize.crop(first), normalize.crop(second)
    mask, attention, content = policy.inspect(normalize(first), normalize(second), lam)
    height, width = content.shape[-2:]
    centre = (height // 2) * width + width // 2
    rows = attention[:, centre].reshape(-1, height, width)
    titles = ("$x_i$", "$x_j$", "content $v_j$", "attention of\nthe centre", "mask $s_i$", "mixed")
    figure = Figure(figsize=(1.4 * len(titles), 1.4 * len(first) + 0.8), layout="constrained")
    axes = figure.subplots(len(first), len(titles), squeeze=False)
    for pair, (x, y) in enumerate(zip(first / 255, second / 255, strict=True)):
        own = mask[pair]
        shown = (x, y, content[pair], rows[pair][None], own, own * x + (1 - own) * y)
        for ax, image, title in zip(axes[pair], shown, titles, strict=True):
            _show(ax, image, title if pair == 0 else "", cmap="viridis", spread=image.shape[0] == 1)
    figure.suptitle(f"Inside the Mixer at $\\lambda$ = {lam:g} (maps spread over their own range)")
    return figure


def _show(ax: Axes, image: Tensor, title: str, cmap: str | None = None, spread: bool = False) -> None:
    pixels = image.float().cpu().permute(1, 2, 0).numpy()
    one_channel = pixels.shape[2] == 1
    shown = pixels[..., 0] if one_channel else pixels.clip(0, 1)
    low, high = (None, None) if spread else (0.0, 1.0)
    ax.imshow(shown, cmap=cmap, vmin=low, vmax=high)
    ax.set_title(title, fontsize=8)
    ax.axis("off")


def pairs_of_classes(store: ImageStore, pairs: int) -> tuple[Tensor, Tensor]:
    """The first images (pairs, 3, S, S) of consecutive classes and their partners of the next class."""
    classes = torch.unique(store.labels)
    firsts = torch.stack([(store.labels == c).nonzero()[0, 0] for c in classes])
    chosen = torch.arange(2 * pairs) % len(firsts)
    images = store.fetch(firsts[chosen])
    return images[0::2], images[1::2]
