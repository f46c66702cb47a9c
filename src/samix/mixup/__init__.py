"""Mixup policies. `POLICIES` is the public table; every policy mixes `first` with `second` at a given lam."""

from samix.mixup.base import Guides, Mixed, Pairing, Policy, blend, draw_lam, draw_pairing, mix
from samix.mixup.cutmix import CutMix
from samix.mixup.mixer.bundle import SAMixP
from samix.mixup.mixer.mixer import Mixer
from samix.mixup.mixer.policy import SAMix
from samix.mixup.mixup import Mixup

POLICIES: dict[str, type[Policy]] = {
    "mixup": Mixup,
    "cutmix": CutMix,
    "samix": SAMix,
    "samix_p": SAMixP,
}

__all__ = [
    "POLICIES",
    "CutMix",
    "Guides",
    "Mixed",
    "Mixer",
    "Mixup",
    "Pairing",
    "Policy",
    "SAMix",
    "SAMixP",
    "blend",
    "draw_lam",
    "draw_pairing",
    "mix",
]
