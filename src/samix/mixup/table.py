"""Table of the mixup policies and of the scenarios in which each works, printed by `samix table policies`.

`incompatibility` is called before training; the matrix consists of its results.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, NamedTuple, get_args, get_origin

from samix.config.options import options_model
from samix.core.markdown import markdown
from samix.mixup.policy import Policy
from samix.mixup.registered import POLICIES

HEADER = ("policy", "name and source", "cost", "requires, besides images", "options and their defaults")


class Capabilities(NamedTuple):
    """Properties of a training that policies depend on.

    labels: there are labels or pseudo labels of the images; classes: the network's outputs are logits of
    these; one_size: the network takes images of one size only, as transformers do; attention: the network has
    a class token that attends to patches; features: features can be mixed, as both parents are in one batch;
    maps: features are (N, C, h, w) after every stage.
    """

    labels: bool
    classes: bool
    one_size: bool = False
    attention: bool = False
    features: bool = True
    maps: bool = True


_VIT = {"one_size": True, "attention": True, "maps": False}
SCENARIOS = {
    "class, CNN": Capabilities(labels=True, classes=True),
    "class, ViT": Capabilities(labels=True, classes=True, **_VIT),
    "cluster, CNN": Capabilities(labels=True, classes=False),
    "cluster, ViT": Capabilities(labels=True, classes=False, **_VIT),
    "instance, CNN": Capabilities(labels=False, classes=False),
    "instance, ViT": Capabilities(labels=False, classes=False, **_VIT),
}
"""Trainings of the printed matrix: supervised training, MoCo with pseudo labels, MoCo without labels."""

_REQUIRES = {
    "maps": "feature maps of the momentum network",
    "labels": "labels or pseudo labels",
    "saliency": "the gradient of the loss with respect to the pixels",
    "feature_saliency": "the gradient of the features with respect to the pixels",
    "cam": "class activation maps",
    "attention": "attention of the class token",
}
_REQUIRES_OUTPUTS = {
    "logits": "logits of the mixed images",
    "attention": "attention of the class token in the mixed images",
    "attentions": "attention of every block in the mixed images",
}


def incompatibility(policy: Policy | type[Policy], capabilities: Capabilities) -> str | None:
    """Why a training with these capabilities cannot use `policy`, and what to do; None if it can.

    For a class: that of a policy with its default options.
    """
    name = name_of(policy)
    if policy.resizes and capabilities.one_size:
        return (
            f"policy {name} makes images of another size, and this backbone takes images of one size only: "
            "take another policy, or a convolutional backbone."
        )
    if "labels" in policy.requires and not capabilities.labels:
        return (
            f"policy {name} needs labels or pseudo labels of the images, and there are none: take another "
            "policy."
        )
    reads_classes = policy.classes or "cam" in policy.requires or "logits" in policy.requires_outputs
    if reads_classes and not capabilities.classes:
        return (
            f"policy {name} reads the logits of a classifier, and this training has none: take another "
            "policy, or supervised training."
        )
    if (
        "attention" in policy.requires or policy.requires_outputs & {"attention", "attentions"}
    ) and not capabilities.attention:
        return (
            f"policy {name} needs the attention of a class token, and this backbone has none: take a vision "
            "transformer such as deit_small_patch16_224, or another policy."
        )
    if (policy.mixes_features == "maps" or "cam" in policy.requires) and not capabilities.maps:
        return (
            f"policy {name} needs features that are maps, and those of this backbone are tokens: take a "
            "convolutional backbone, or another policy."
        )
    if policy.mixes_features != "never" and not capabilities.features:
        return (
            f"policy {name} mixes features of two images of one view: set model.moco.cross_view to q2k or "
            "same, and take a backbone with a stem that timm names, or take another policy."
        )
    return None


def name_of(policy: Policy | type[Policy]) -> str:
    """The policy's name in the registry, or the name of its class if it is not registered."""
    kind = policy if isinstance(policy, type) else type(policy)
    return POLICIES.name_of(kind) or kind.__name__


def example(name: str) -> Policy:
    """The policy called `name` with its default options; Mixers are small and untrained."""
    return POLICIES[name].example()


def policy_rows() -> list[tuple[str, ...]]:
    """One row of strings, as HEADER names them, for each policy."""
    return [
        (name, _what(kind), kind.cost, _needs(example(name)), _options(kind))
        for name, kind in POLICIES.items()
    ]


def matrix_rows() -> list[tuple[str, ...]]:
    """One row for each policy: its name, then for each scenario whether it works or is refused."""
    rows = []
    for name in POLICIES:
        policy = example(name)
        reasons = [incompatibility(policy, offered) for offered in SCENARIOS.values()]
        rows.append((name, *("works" if reason is None else "refused" for reason in reasons)))
    return rows


def report() -> str:
    """Both tables as Markdown, and every reason for a refusal."""
    table, matrix = markdown(HEADER, policy_rows()), markdown(("policy", *SCENARIOS), matrix_rows())
    reasons = {incompatibility(example(name), offered) for name in POLICIES for offered in SCENARIOS.values()}
    parts = [
        "## Policies",
        table,
        "Cost: static, calls no model; saliency, gradients or another model; attention, attention of a "
        "transformer; learned, a network that is trained for mixing.",
        "## Scenarios",
        matrix,
        "Reasons for refusals, as raised before training:",
        "\n".join(f"* {reason}" for reason in sorted(filter(None, reasons))),
    ]
    return "\n\n".join(parts)


def _what(kind: type[Policy]) -> str:
    """First line of the module's docstring: name and source."""
    return (inspect.getdoc(inspect.getmodule(kind)) or "").splitlines()[0].rstrip(".")


def _needs(policy: Policy) -> str:
    wanted = [_REQUIRES[need] for need in sorted(policy.requires)]
    later = [_REQUIRES_OUTPUTS[output] for output in sorted(policy.requires_outputs)]
    return "; ".join([*wanted, *later, *filter(None, [policy.extra_requirement])]) or "-"


def _options(kind: type[Policy]) -> str:
    """name=default of each option, other choices in brackets."""
    fields = options_model(kind).model_fields
    return ", ".join(_option(name, one.default, one.annotation) for name, one in fields.items()) or "-"


def _option(name: str, default: Any, hint: Any) -> str:
    others = [value for value in get_args(hint) if value != default] if get_origin(hint) is Literal else []
    return f"`{name}={default}`" + (f" ({', '.join(map(str, others))})" if others else "")
