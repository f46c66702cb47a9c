"""Change the features between two modules of a network, or read attention, in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from timm.layers import Attention
from torch import Tensor, nn

from samix.core.errors import ConfigError


@contextmanager
def altered(net: nn.Module, name: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block, the module `name` of `net` returns `change` of its output in the first pass only.

    The hook is removed after it: a permanent one would be shared with frozen copies.
    Raises: ConfigError at the end of a block in which the module did not run.
    """
    ran = False

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        nonlocal ran
        ran = True
        handle.remove()
        return change(output)

    handle = _last_part(net.get_submodule(name)).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    if not ran:  # the label of the mix would be wrong
        raise ConfigError(f"features cannot be mixed after {name} of this backbone: take another stage.")


def _last_part(module: nn.Module) -> nn.Module:
    """The part that computes a module's output; timm calls the parts of some stems one by one."""
    while type(module) is nn.Sequential and len(module):
        module = module[-1]
    return module


def attention_is_kept(blocks: list[Any]) -> bool:
    """Whether `attention_kept` can read all these blocks of a transformer.

    False for timm's parallel blocks, which compute attention themselves, and its differential attention.
    """
    return all(isinstance(getattr(block, "attn", None), Attention) for block in blocks)


@contextmanager
def attention_kept(modules: list[Any]) -> Iterator[list[Tensor]]:
    """Within the block, attention modules of timm's transformers add their attention to the list.

    Each entry is (N, T, T), mean over heads, rows are queries, without gradient. The fused kernel of these
    modules does not run, as it never makes the attention matrix.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        kept.append(inputs[0].detach().float().mean(1))

    with ExitStack() as stack:
        for attention in modules:
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
