"""Mixup policies: every policy mixes `first` with `second` at a given lam.

`POLICIES` has the class of every policy by its name in `samix.config.registry`; classes may be imported from
here or from their own modules.
"""

from samix.mixup.adautomix import AdAutoMix
from samix.mixup.alignmix import AlignMix
from samix.mixup.attentivemix import AttentiveMix
from samix.mixup.augmix import AugMix
from samix.mixup.automix import AutoMix
from samix.mixup.base import (
    Guides,
    Inside,
    Mixed,
    Outcome,
    Parents,
    Policy,
    Ratio,
    Seen,
    blend,
    draw_lam,
    draw_lams,
    mix,
    pair_and_mix,
)
from samix.mixup.batch import MixedBatch, mix_batch, mixed_term
from samix.mixup.comixup import CoMixup
from samix.mixup.cutmix import CutMix
from samix.mixup.fmix import FMix
from samix.mixup.gridmix import GridMix
from samix.mixup.guidedmixup import GuidedMixup, greedy_cycle
from samix.mixup.inter_intra import InterIntra
from samix.mixup.manifoldmix import ManifoldMix
from samix.mixup.mixer.bundle import SAMixP
from samix.mixup.mixer.mixer import Mixer
from samix.mixup.mixer.policy import SAMix
from samix.mixup.mixpro import MixPro
from samix.mixup.mixup import Mixup
from samix.mixup.pairing import Pairing, draw_local_pairing, draw_pairing
from samix.mixup.patchup import PatchUp
from samix.mixup.pixmix import PixMix
from samix.mixup.puzzlemix import PuzzleMix
from samix.mixup.random_choice import RandomChoice
from samix.mixup.registered import POLICIES
from samix.mixup.resizemix import ResizeMix
from samix.mixup.saliency_grafting import SaliencyGrafting
from samix.mixup.saliencymix import SaliencyMix
from samix.mixup.smmix import SMMix
from samix.mixup.smoothmix import SmoothMix
from samix.mixup.snapmix import SnapMix
from samix.mixup.stackmix import StackMix, stack
from samix.mixup.supermix import SuperMix
from samix.mixup.tla import TLA
from samix.mixup.tokenmix import TokenMix
from samix.mixup.transmix import TransMix

__all__ = [
    "POLICIES",
    "TLA",
    "AdAutoMix",
    "AlignMix",
    "AttentiveMix",
    "AugMix",
    "AutoMix",
    "CoMixup",
    "CutMix",
    "FMix",
    "GridMix",
    "GuidedMixup",
    "Guides",
    "Inside",
    "InterIntra",
    "ManifoldMix",
    "MixPro",
    "Mixed",
    "MixedBatch",
    "Mixer",
    "Mixup",
    "Outcome",
    "Pairing",
    "Parents",
    "PatchUp",
    "PixMix",
    "Policy",
    "PuzzleMix",
    "RandomChoice",
    "Ratio",
    "ResizeMix",
    "SAMix",
    "SAMixP",
    "SMMix",
    "SaliencyGrafting",
    "SaliencyMix",
    "Seen",
    "SmoothMix",
    "SnapMix",
    "StackMix",
    "SuperMix",
    "TokenMix",
    "TransMix",
    "blend",
    "draw_lam",
    "draw_lams",
    "draw_local_pairing",
    "draw_pairing",
    "greedy_cycle",
    "mix",
    "mix_batch",
    "mixed_term",
    "pair_and_mix",
    "stack",
]
