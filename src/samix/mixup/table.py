"""Print the mixup policies and where each of them works: `python -m samix.mixup.table`.

`refusal` is what hosts ask before they train, and what the printed matrix consists of.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin, get_type_hints

from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.mixup import POLICIES, Mixer, Policy, SAMix, SAMixP, StackMix
from samix.nn import build_backbone
from samix.nn.table import markdown

HEADER = ("policy", "what it is", "cost", "needs, beside images", "options and their defaults")
SCENARIOS = {
    "class, CNN": {"labels": True, "one_size": False},
    "class, ViT": {"labels": True, "one_size": True},
    "cluster": {"labels": True, "one_size": False},
    "instance": {"labels": False, "one_size": False},
}
"""What a host offers: labels or pseudo labels of the images, a network that takes images of one size only."""

_NEEDS = {"maps": "feature maps of the host's momentum network", "labels": "labels or pseudo labels"}
_BESIDE = {
    "stackmix": "a network that takes images of any size",
    "random_choice": "what its policies need",
    "samix": "a Mixer that is trained along",
    "samix_p": "a trained bundle",
}


def refusal(policy: Policy, *, labels: bool, one_size: bool) -> str | None:
    """Why a host cannot use `policy`, and what to do; None where it can.

    Args: labels, whether the host knows (pseudo) labels of the images; one_size, whether its network takes
    images of one size only, as transformers do.
    """
    if "labels" in policy.needs and not labels:
        return (
            f"policy {name_of(policy)} needs labels or pseudo labels of the images, and there are none: take "
            "another policy."
        )
    if one_size and any(isinstance(part, StackMix) for part in policy.modules()):
        return (
            f"policy {name_of(policy)} makes images of another size, and this backbone takes images of one "
            "size only: take another policy, or a convolutional backbone."
        )
    return None


def name_of(policy: Policy) -> str:
    """The policy's name in the table, or that of its class where it is not there."""
    return {kind: name for name, kind in POLICIES.items()}.get(type(policy), type(policy).__name__)


def example(name: str) -> Policy:
    """The policy called `name` with its default options; Mixers are small and untrained."""
    kind = POLICIES[name]
    if not issubclass(kind, SAMix):
        return kind()
    if not issubclass(kind, SAMixP):
        return kind(Mixer(8, MixerConfig()), MaskAdjustConfig())
    backbone = build_backbone(BackboneConfig(channels=(4, 4, 6, 8)))
    grey = [0.5] * 3, [0.25] * 3
    return kind(backbone, Mixer(6, MixerConfig()), MaskAdjustConfig(), trained_on=grey)


def policy_rows() -> list[tuple[str, ...]]:
    """One row of strings, as HEADER names them, for each policy."""
    return [
        (name, _what(kind), kind.cost, _needs(name, example(name)), _options(kind))
        for name, kind in POLICIES.items()
    ]


def matrix_rows() -> list[tuple[str, ...]]:
    """One row for each policy: its name, then for each scenario whether it works or is refused."""
    rows = []
    for name in POLICIES:
        policy = example(name)
        reasons = [refusal(policy, **offered) for offered in SCENARIOS.values()]
        rows.append((name, *("works" if reason is None else "refused" for reason in reasons)))
    return rows


def report() -> str:
    """What the command prints."""
    table, matrix = markdown(HEADER, policy_rows()), markdown(("policy", *SCENARIOS), matrix_rows())
    reasons = {refusal(example(name), **offered) for name in POLICIES for offered in SCENARIOS.values()}
    parts = [
        "## Policies",
        table,
        "Cost: S static, no model is called; L saliency or a model's opinion; T a network that is trained.",
        "## Scenarios",
        matrix,
        "What a refusal says, before training:",
        "\n".join(f"* {reason}" for reason in sorted(filter(None, reasons))),
    ]
    return "\n\n".join(parts)


def _what(kind: type[Policy]) -> str:
    """The first line of its module: what it is and whose."""
    return (inspect.getdoc(inspect.getmodule(kind)) or "").splitlines()[0].rstrip(".")


def _needs(name: str, policy: Policy) -> str:
    wanted = [_NEEDS[need] for need in sorted(policy.needs)]
    return "; ".join([*wanted, *filter(None, [_BESIDE.get(name)])]) or "-"


def _options(kind: type[Policy]) -> str:
    """name=default of each keyword, other choices in brackets; a Mixer has parameters of its own."""
    if issubclass(kind, SAMix) or "__init__" not in vars(kind):
        return "-"
    hints = get_type_hints(kind.__init__)
    given = inspect.signature(kind).parameters.values()
    return ", ".join(_option(one.name, one.default, hints[one.name]) for one in given)


def _option(name: str, default: Any, hint: Any) -> str:
    others = [value for value in get_args(hint) if value != default] if get_origin(hint) is Literal else []
    return f"`{name}={default}`" + (f" ({', '.join(map(str, others))})" if others else "")


if __name__ == "__main__":
    print(report())
