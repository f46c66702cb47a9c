"""Taps: the map of a backbone after a stage, as timm counts them, or after any module inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from samix.core.errors import ConfigError


class Tap(Protocol):
    """A place in a timm model."""

    def with_last(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map (N, C, h, w) and the model's last features, from one pass over images (N, 3, H, W)."""
        ...

    def alone(self, net: Any, x: Tensor) -> Tensor:
        """The map (N, C, h, w); what comes after the tap does not run."""
        ...


@dataclass(frozen=True)
class StageTap:
    """After the stage `index` of timm's forward_intermediates, which returns NCHW maps of every family."""

    index: int

    def with_last(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Tap."""
        last, (tapped,) = net.forward_intermediates(x, indices=[self.index])
        return tapped, last

    def alone(self, net: Any, x: Tensor) -> Tensor:
        """See Tap."""
        (tapped,) = net.forward_intermediates(
            x, indices=[self.index], stop_early=True, intermediates_only=True
        )
        return tapped  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return f"stage {self.index}"


@dataclass(frozen=True)
class ModuleTap:
    """After the module `name`; tokens and NHWC maps become NCHW.

    The hook is registered for one call: a permanent one would be shared with frozen copies.
    """

    name: str

    def with_last(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Tap."""
        seen: list[Any] = []

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            # a copy, as an activation that works in place may come next
            seen.append(output.clone() if isinstance(output, Tensor) else output)

        handle = net.get_submodule(self.name).register_forward_hook(keep)
        try:
            last = net.forward_features(x)
        finally:
            handle.remove()
        return self._map_of(seen, net, x), last

    def alone(self, net: Any, x: Tensor) -> Tensor:
        """See Tap."""
        seen: list[Any] = []

        def stop(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.append(output)
            raise _Reached

        handle = net.get_submodule(self.name).register_forward_hook(stop)
        try:
            net.forward_features(x)
        except _Reached:
            pass
        finally:
            handle.remove()
        return self._map_of(seen, net, x)

    def __str__(self) -> str:
        return f"the module {self.name}"

    def _map_of(self, seen: list[Any], net: Any, x: Tensor) -> Tensor:
        if not seen:
            raise ConfigError(f"backbone.tap: {self} does not run in the forward pass.")
        output = seen[0]  # if a module runs several times, `alone` stops at its first output
        if isinstance(output, Tensor) and len(output) == len(x):
            if output.ndim == 4:
                nhwc = getattr(net, "output_fmt", "NCHW") == "NHWC"
                return output.permute(0, 3, 1, 2).contiguous() if nhwc else output
            if output.ndim == 3 and hasattr(getattr(net, "patch_embed", None), "dynamic_feat_size"):
                return self._map_of_tokens(output, net, x)
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigError(f"backbone.tap: {self} gives no feature map, but {shape}.")

    def _map_of_tokens(self, tokens: Tensor, net: Any, x: Tensor) -> Tensor:
        """Tokens (N, T, C), class and distillation tokens first, -> (N, C, h, w), row by row."""
        height, width = net.patch_embed.dynamic_feat_size(x.shape[-2:])
        extra = tokens.shape[1] - height * width
        if extra not in (0, getattr(net, "num_prefix_tokens", 0)):
            raise ConfigError(
                f"backbone.tap: {self} gives {tokens.shape[1]} tokens for {height} x {width} patches."
            )
        rows = tokens[:, extra:].reshape(len(x), height, width, tokens.shape[2])
        return rows.permute(0, 3, 1, 2).contiguous()


class _Reached(Exception):
    """Ends a forward pass at its tap."""
