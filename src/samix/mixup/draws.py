"""Draws of a mix: made on the host before the step, moved to the device in one copy per type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Draws, Policy

T = TypeVar("T")


class HostOnly(NamedTuple):
    """A value for the fast path of the eager step, such as a box as integers; `for_graph` removes it."""

    value: Any


class MixDraws(NamedTuple):
    """Draws of one mix.

    member: path to the policy that mixes (`Policy.member`); policy, its draws; pairing, None if the policy
    chooses the partners by its own rule.
    """

    member: tuple[int, ...]
    policy: Draws
    pairing: Pairing | None


def draw_policy(
    policy: Policy,
    lam: Ratio,
    rng: np.random.Generator,
    shape: BatchShape,
    pair: Callable[[Policy], Pairing],
    shared: np.random.Generator | None = None,
) -> MixDraws:
    """Resolve the member that mixes the batch, then draw its random numbers, in this order.

    pair: draws the pairing for the member, from another stream; called unless the member chooses partners.
    shared: a generator in the state of rng on rank 0, if the ranks select partners from each other's images:
    all ranks then resolve the same member, since members differ in what they gather.
    Raises: ValueError for one lam per sample if the member takes only one per batch.
    """
    resolved = policy.resolve(lam, rng)
    path, lam = resolved if shared is None else policy.resolve(lam, shared)
    member = policy.member(path)
    if isinstance(lam, np.ndarray) and not member.per_sample:
        raise ValueError(f"{type(member).__name__} takes one lam for the whole batch")
    draws = member.draw(rng, lam, shape)
    return MixDraws(path, draws, None if member.chooses_partners else pair(member))


def expanded(policy: Policy, draws: MixDraws, shape: BatchShape, device: torch.device) -> MixDraws:
    """The draws on the device, with the tensors that the member makes there (`Policy.expand`)."""
    moved = to_device(draws, device)
    return moved._replace(policy=policy.member(draws.member).expand(moved.policy, shape, device))


def to_device(tree: T, device: torch.device) -> T:
    """The same named tuples with their tensors on the device, in one copy per dtype.

    Does not wait for the device. Tensors that are not on the host are not moved.
    """
    if device.type == "cpu":
        return tree
    found: list[Tensor] = []
    _mapped(tree, found.append)
    tensors = [tensor for tensor in found if tensor.device.type == "cpu"]
    moved: dict[int, Tensor] = {}
    for dtype in {tensor.dtype for tensor in tensors}:
        alike = [tensor for tensor in tensors if tensor.dtype == dtype]
        packed = torch.cat([tensor.flatten() for tensor in alike])
        if device.type == "cuda":  # from memory that is not pinned the copy would wait
            packed = packed.pin_memory()
        packed = packed.to(device, non_blocking=True)
        parts = torch.split(packed, [tensor.numel() for tensor in alike])
        moved |= {id(t): part.view(t.shape) for t, part in zip(alike, parts, strict=True)}
    result: T = _mapped(tree, lambda tensor: moved.get(id(tensor), tensor))
    return result


def for_graph(tree: T) -> T:
    """The same draws without the host values of the eager fast path, so that the step is one graph."""
    if isinstance(tree, HostOnly):
        return None  # type: ignore[return-value]
    if isinstance(tree, tuple):
        parts = (for_graph(part) for part in tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)  # type: ignore[return-value]
    return tree


def _mapped(tree: Any, change: Callable[[Tensor], Any]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, tuple) and not isinstance(tree, HostOnly):
        parts = (_mapped(part, change) for part in tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree
