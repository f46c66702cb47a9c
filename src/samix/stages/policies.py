"""Which results a policy needs. Its class contains that; importing the class imports torch."""

from __future__ import annotations

from samix.config.mixing import PolicyConfig


def uses_mixer(policy: PolicyConfig) -> str:
    """Value of `Policy.uses_mixer`; "none" without a policy."""
    if policy.name == "none":
        return "none"
    from samix.mixup import POLICIES

    return POLICIES[policy.name].uses_mixer


def policy_without_mixer(policy: PolicyConfig) -> str | None:
    """Why a policy does not need a pretrained Mixer; None if it does."""
    return None if uses_mixer(policy) == "pretrained" else f"policy {policy.name} needs no Mixer"
