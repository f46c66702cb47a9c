"""Print the mixup policies and where each of them works: `python -m samix.mixup.table`.

`refusal` is what hosts ask before they train, and what the printed matrix consists of.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, NamedTuple, get_args, get_origin

from samix.config.options import options_model
from samix.mixup.base import Policy
from samix.mixup.registered import POLICIES
from samix.nn.table import markdown

HEADER = ("policy", "what it is", "cost", "needs, beside images", "options and their defaults")


class Offer(NamedTuple):
    """What a host can give a policy.

    labels: (pseudo) labels of the images; classes: its network's outputs are logits of these; one_size: the
    network takes images of one size only, as transformers do; attention: it has a class token that attends
    to patches; inside: its features can be mixed, both parents being of one batch; maps: they are (N, C, h,
    w) after every stage.
    """

    labels: bool
    classes: bool
    one_size: bool = False
    attention: bool = False
    inside: bool = True
    maps: bool = True


_VIT = {"one_size": True, "attention": True, "maps": False}
SCENARIOS = {
    "class, CNN": Offer(labels=True, classes=True),
    "class, ViT": Offer(labels=True, classes=True, **_VIT),
    "cluster, CNN": Offer(labels=True, classes=False),
    "cluster, ViT": Offer(labels=True, classes=False, **_VIT),
    "instance, CNN": Offer(labels=False, classes=False),
    "instance, ViT": Offer(labels=False, classes=False, **_VIT),
}
"""Hosts of the printed matrix: supervised training, MoCo with pseudo labels, MoCo without."""

_NEEDS = {
    "maps": "feature maps of the host's momentum network",
    "labels": "labels or pseudo labels",
    "saliency": "the gradient of the host's loss by the pixels",
    "feature_saliency": "the gradient of the host's features by the pixels",
    "cam": "class activation maps",
    "attention": "attention of the class token",
}
_AFTER = {
    "logits": "logits of the mixed images",
    "attention": "attention of the class token in the mixed images",
    "attentions": "attention of every block in the mixed images",
}


def refusal(policy: Policy | type[Policy], offer: Offer) -> str | None:
    """Why a host that gives what `offer` says cannot use `policy`, and what to do; None where it can.

    Of a class the answer is that for its default options.
    """
    name = name_of(policy)
    if policy.resizes and offer.one_size:
        return (
            f"policy {name} makes images of another size, and this backbone takes images of one size only: "
            "take another policy, or a convolutional backbone."
        )
    if "labels" in policy.needs and not offer.labels:
        return (
            f"policy {name} needs labels or pseudo labels of the images, and there are none: take another "
            "policy."
        )
    reads_classes = policy.classes or "cam" in policy.needs or "logits" in policy.after
    if reads_classes and not offer.classes:
        return (
            f"policy {name} reads the logits of a classifier, and this training has none: take another "
            "policy, or supervised training."
        )
    if ("attention" in policy.needs or policy.after & {"attention", "attentions"}) and not offer.attention:
        return (
            f"policy {name} needs the attention of a class token, and this backbone has none: take a vision "
            "transformer such as deit_small_patch16_224, or another policy."
        )
    if (policy.inside == "maps" or "cam" in policy.needs) and not offer.maps:
        return (
            f"policy {name} needs features that are maps, and those of this backbone are tokens: take a "
            "convolutional backbone, or another policy."
        )
    if policy.inside != "never" and not offer.inside:
        return (
            f"policy {name} mixes features of two images of one view: set model.moco.cross_view to q2k or "
            "same, and take a backbone with a stem that timm names, or take another policy."
        )
    return None


def name_of(policy: Policy | type[Policy]) -> str:
    """The policy's name in the registry; that of its class if it is not registered."""
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
        reasons = [refusal(policy, offered) for offered in SCENARIOS.values()]
        rows.append((name, *("works" if reason is None else "refused" for reason in reasons)))
    return rows


def report() -> str:
    """What the command prints."""
    table, matrix = markdown(HEADER, policy_rows()), markdown(("policy", *SCENARIOS), matrix_rows())
    reasons = {refusal(example(name), offered) for name in POLICIES for offered in SCENARIOS.values()}
    parts = [
        "## Policies",
        table,
        "Cost: S static, no model is called; L saliency or a model's opinion; "
        "V attention of a transformer; T a network that is trained.",
        "## Scenarios",
        matrix,
        "What a refusal says, before training:",
        "\n".join(f"* {reason}" for reason in sorted(filter(None, reasons))),
    ]
    return "\n\n".join(parts)


def _what(kind: type[Policy]) -> str:
    """The first line of its module: what it is and whose."""
    return (inspect.getdoc(inspect.getmodule(kind)) or "").splitlines()[0].rstrip(".")


def _needs(policy: Policy) -> str:
    wanted = [_NEEDS[need] for need in sorted(policy.needs)]
    later = [_AFTER[answer] for answer in sorted(policy.after)]
    return "; ".join([*wanted, *later, *filter(None, [policy.extra_requirement])]) or "-"


def _options(kind: type[Policy]) -> str:
    """name=default of each option, other choices in brackets."""
    fields = options_model(kind).model_fields
    return ", ".join(_option(name, one.default, one.annotation) for name, one in fields.items()) or "-"


def _option(name: str, default: Any, hint: Any) -> str:
    others = [value for value in get_args(hint) if value != default] if get_origin(hint) is Literal else []
    return f"`{name}={default}`" + (f" ({', '.join(map(str, others))})" if others else "")


if __name__ == "__main__":
    print(report())
