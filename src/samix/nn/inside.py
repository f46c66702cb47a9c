"""Change what flows between two modules of a network, and read attention, for one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def altered(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block, `module` gives `change` of its output, once; a later pass is left alone.

    The hook does not last: a lasting one would be shared by the copies that momentum networks are.
    """

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        handle.remove()
        return change(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def attention_kept(blocks: list[Any]) -> Iterator[list[Tensor]]:
    """Within the block, attention modules of timm's transformers add their attention to the list.

    Each entry is (N, T, T), mean over heads, rows are queries, without gradient. The fused kernel of these
    modules does not run, as it never makes the attention matrix.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        kept.append(inputs[0].detach().float().mean(1))

    with ExitStack() as stack:
        for attention in blocks:
            stack.enter_context(_unfused(attention))
            stack.callback(attention.attn_drop.register_forward_pre_hook(keep).remove)
        yield kept


@contextmanager
def _unfused(attention: Any) -> Iterator[None]:
    fused, attention.fused_attn = attention.fused_attn, False
    try:
        yield
    finally:
        attention.fused_attn = fused
