"""Backbones with a tap: the feature map that the Mixer reads, and the pooled output, from one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.nn.inside import altered, attention_is_kept, attention_kept
from samix.nn.narrow import subsample_narrow_convolutions
from samix.nn.taps import Tap

_PROBE = 64
"""Side of the image used to measure the tap of a network that accepts any size."""


class Features(NamedTuple):
    """Outputs of a backbone: the map at the tap (N, C, h, w) and the pooled output (N, width)."""

    tap: Tensor
    pooled: Tensor


class Backbone(nn.Module):
    """A timm model (in `net`) with one place tapped.

    Attributes: tap_channels C; tap_stride, input pixels per tap pixel; width of the pooled output;
    image_size, (H, W) of the only accepted images, None if any size is accepted.
    """

    def __init__(
        self, net: nn.Module, tap: Tap, image_size: tuple[int, int] | None = None, tap_norm: bool = False
    ) -> None:
        """tap_norm: layer-normalise the tap's map over its channels.

        Without affine parameters: only the Mixer would use them, in a network that takes no gradient, so they
        would stay 1 and 0.
        """
        super().__init__()
        # channels last makes convolutions up to twice as fast, on CPUs as on tensor cores; models of one
        # image size are transformers
        self._layout = torch.channels_last if image_size is None else torch.contiguous_format
        subsample_narrow_convolutions(net)
        self.net = net.to(memory_format=self._layout)
        self.tap = tap
        self.tap_norm = tap_norm
        self.image_size = image_size
        self.width: int = net.num_features  # type: ignore[assignment]  # timm sets it on every model
        self.tap_channels, self.tap_stride = self._measure_tap()
        self._last: Callable[[Tensor], Tensor] | None = None
        self._shapes: dict[tuple[int, int], tuple[tuple[int, int, int], ...]] = {}

    def forward(self, x: Tensor) -> Features:
        """Images (N, 3, H, W) -> Features. One pass. Raises: ConfigError for images of a wrong size."""
        tapped, last = self.tap.with_last(self.net, self._prepared(x))
        if self._last is not None:
            change, self._last = self._last, None
            last = change(last)
        return Features(self._finished(tapped), self.net.forward_head(last, pre_logits=True))  # type: ignore[operator]

    def tap_map(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the tap's map (N, C, h, w); what comes later does not run."""
        return self._finished(self.tap.alone(self.net, self._prepared(x)))

    def last_map(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last features before pooling; of a CNN (N, width, h, w)."""
        last: Tensor = self.net.forward_features(self._prepared(x))  # type: ignore[operator]
        return last

    @property
    def stages(self) -> list[str]:
        """Modules after which features can be changed: the stem, then timm's stages; empty without a stem."""
        children = dict(self.net.named_children())
        stem = next((name for name in ("maxpool", "stem", "patch_embed") if name in children), None)
        if stem is None:
            return []
        names = [info["module"] for info in self.net.feature_info]  # type: ignore[union-attr]
        # timm lists features inside the stem as well: ResNets' act1, ResNetV2's stem.conv
        return [stem, *(name for name in names if name.split(".")[0] not in ("act1", stem))]

    @property
    def attends(self) -> bool:
        """Whether there is a class token whose attention to the patches can be read in every block."""
        return (
            bool(getattr(self.net, "has_class_token", False))
            and hasattr(self.net, "patch_embed")
            and attention_is_kept(list(self.net.blocks))  # type: ignore[arg-type]
        )

    @contextmanager
    def altering(self, stage: int, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Within the block, `change` is applied to the features after a stage, in one forward pass.

        stage: an index of `stages`, or -1, the last features before pooling.
        Raises: ConfigError for a stage that the backbone does not have.
        """
        if stage >= 0:
            stages = self.stages
            if stage >= len(stages):
                listed = ", ".join(f"{place}: {name}" for place, name in enumerate(stages)) or "none"
                raise ConfigError(
                    f"the backbone has no stage {stage} to mix features after; it has {listed}."
                )
            with altered(self.net, stages[stage], change):
                yield
            return
        self._last = change
        try:
            yield
        finally:
            self._last = None

    @contextmanager
    def attending(self, *, every: bool = False) -> Iterator[list[Tensor]]:
        """Within the block, a forward pass adds the last block's attention (N, T, T) to the list, or every
        block's; mean over heads, without gradient. Requires `attends`.
        """
        blocks = [block.attn for block in self.net.blocks]  # type: ignore[union-attr]
        with attention_kept(blocks if every else blocks[-1:]) as kept:
            yield kept

    def looks_at(self, attention: Tensor, size: tuple[int, int]) -> Tensor:
        """Attention (N, T, T) for images of `size` (H, W) -> (N, 1, h, w), of the class token to patches."""
        height, width = self.net.patch_embed.dynamic_feat_size(size)  # type: ignore[union-attr,operator]
        prefix: int = self.net.num_prefix_tokens  # type: ignore[assignment]
        return attention[:, 0, prefix:].reshape(len(attention), 1, height, width)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of images of `size` (H, W). Requires `attends`."""
        rows, columns = self.net.patch_embed.dynamic_feat_size(size)  # type: ignore[union-attr,operator]
        return rows, columns

    @torch.no_grad()
    def feature_shapes(self, size: tuple[int, int]) -> tuple[tuple[int, int, int], ...]:
        """(C, h, w) after each of `stages`, for images of `size` (H, W); for features that are maps."""
        if size not in self._shapes:
            found: list[tuple[int, int, int]] = []
            training = self.net.training
            self.net.eval()
            with ExitStack() as stack:
                for name in self.stages:
                    stack.enter_context(altered(self.net, name, _noted(found)))
                self.net.forward_features(torch.zeros(1, 3, *size, device=self._device()))  # type: ignore[operator]
            self.net.train(training)
            self._shapes[size] = tuple(found)
        return self._shapes[size]

    def _device(self) -> torch.device:
        return next(self.net.parameters()).device

    def _prepared(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        if self.image_size is not None and size != self.image_size:
            raise ConfigError(
                f"backbone.image_size: the backbone takes images of {self.image_size} pixels, not of {size}. "
                "Set it to their size, or resize them."
            )
        return x.contiguous(memory_format=self._layout)

    def _finished(self, tapped: Tensor) -> Tensor:
        if not self.tap_norm:
            return tapped
        channels_last = tapped.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, channels_last.shape[3:]).permute(0, 3, 1, 2).contiguous()

    @torch.no_grad()
    def _measure_tap(self) -> tuple[int, int]:
        training = self.net.training
        height, width = self.image_size or (_PROBE, _PROBE)
        self.net.eval()
        shape = tuple(self.tap_map(torch.zeros(1, 3, height, width)).shape)
        self.net.train(training)
        if shape[2] * width != shape[3] * height:  # a layout that was misread, such as NHWC inside a block
            raise ConfigError(f"backbone.tap: {self.tap} gives no map of the image, but {shape}.")
        return shape[1], height // shape[2]


def _noted(found: list[tuple[int, int, int]]) -> Callable[[Tensor], Tensor]:
    """A function that returns features (1, C, h, w) unchanged and appends their size to `found`."""

    def note(features: Tensor) -> Tensor:
        found.append((features.shape[1], features.shape[2], features.shape[3]))
        return features

    return note
