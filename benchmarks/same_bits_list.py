"""The small trainings that benchmarks/same_bits.py runs with two versions; plain data, without samix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CROSS_VIEWS = ("q2k", "swap", "same", "same_swap")
CONTRASTIVE = (
    "none",
    "mixup",
    "cutmix",
    "samix_p",
    "guidedmixup",
    "inter_intra",
    "manifoldmix",
    "SAMix-I",
    "SAMix-I, filtered",
    "SAMix-I, online and filtered",
    "SAMix-C, fixed",
    "SAMix-C, online",
    "SAMix-C, online, encoder too",
)
STATIC = ("mixup", "cutmix", "fmix", "gridmix", "resizemix", "smoothmix", "manifoldmix", "patchup")
SALIENCY = ("alignmix", "saliencymix", "guidedmixup", "puzzlemix", "attentivemix", "snapmix")
MORE = ("saliency_grafting", "comixup", "supermix", "stackmix", "augmix", "pixmix", "inter_intra")
LEARNED = ("random_choice", "automix", "adautomix", "samix", "samix_p")
TRANSFORMER = ("transmix", "tokenmix", "tla", "mixpro", "smmix")
"""Policies that need a class token."""
SEVERAL = ("adautomix", "comixup")
"""Policies that mix more than two images: equal to a relative 1e-6."""
PER_SAMPLE = ("mixup", "cutmix", "gridmix", "resizemix", "smoothmix", "manifoldmix", "patchup", "alignmix")
POLICIES = (*STATIC, *SALIENCY, *MORE, *TRANSFORMER, *LEARNED)


@dataclass(frozen=True)
class Training:
    """One of the trainings.

    host "ssl" or "sl"; kind, the policy, for host ssl one of CONTRASTIVE; options of SupervisedConfig; mixer:
    options of the Mixer's training.
    """

    name: str
    host: str
    kind: str
    cross_view: str = "q2k"
    lam_per_sample: bool = False
    transformer: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    mixer: dict[str, Any] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """Relative difference that is allowed; 0: equal bit for bit."""
        return 1e-6 if self.kind in SEVERAL else 0.0


def trainings() -> list[Training]:
    """All of them, in the order of the table."""
    features = ("manifoldmix",)  # mixed features are of one view
    contrastive = [
        Training(f"MoCo, {kind}, {cross}", "ssl", kind, cross)
        for kind in CONTRASTIVE
        for cross in CROSS_VIEWS
        if kind not in features or "swap" not in cross
    ]
    supervised = [Training(kind, "sl", kind, transformer=kind in TRANSFORMER) for kind in ("none", *POLICIES)]
    lams = [Training(f"{kind}, lam per sample", "sl", kind, lam_per_sample=True) for kind in PER_SAMPLE]
    more = [
        Training("none, plain_mix", "sl", "none", options={"plain_mix": True}),
        Training("mixup, transformer", "sl", "mixup", transformer=True),
        Training("samix, transformer", "sl", "samix", transformer=True),
        Training("cutmix, one head", "sl", "cutmix", options={"heads": "shared", "plain_weight": 0.5}),
        Training("mixup, dm_ce", "sl", "mixup", options={"mixed_loss": {"name": "dm_ce"}, "no_repeat": True}),
        Training("cutmix, bce", "sl", "cutmix", options={"mixed_loss": {"name": "bce"}}),
        Training("samix, smoothed", "sl", "samix", options={"label_smoothing": 0.1}),
        Training("samix, every second step", "sl", "samix", mixer={"interval": 2}),
        Training("samix, switched off", "sl", "samix", mixer={"switch_off": 0.5}),
        Training("MoCo, SAMix-C, every second step", "ssl", "SAMix-C, online", mixer={"interval": 2}),
        Training("MoCo, SAMix-I, switched off", "ssl", "SAMix-I", mixer={"switch_off": 0.5}),
    ]
    return contrastive + supervised + lams + more
