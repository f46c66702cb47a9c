"""Mixup policies: rules that mix the images of a batch with their partners.

A mix has three steps. `draw_policy` draws all random numbers of a step on the host: a `Pairing` (the partner
of each image) and the draws of the policy. `expanded` moves them to the device. `mix` then is a pure function
of images and draws: it calls the `Policy` and returns a `Mixed`, which contains the mixed images, the rows of
their parents and the weights of the parents' labels. `mix_batch` does all three in one call.

A policy never shuffles images and never mixes labels: losses compute the targets from the parents and weights
of the `Mixed`. Its `requires` lists the fields of `ImageInfo` that it reads besides the pixels (maps, labels,
saliency, attention); an `Adapter` computes them with the trained network and passes the mixed images through
it. The weights of some policies follow from the network's outputs (`Policy.reweight`).

`POLICIES` contains the class of every policy by its name in `samix.config.registry`; classes can be imported
from this package or from their own modules.
"""

from samix.mixup.batch import MixedBatch, mix_batch, mixed_term
from samix.mixup.draws import MixDraws, draw_policy, expanded, for_graph, to_device
from samix.mixup.lam import Ratio, draw_lam, draw_lams, draw_ratio
from samix.mixup.mix import mix
from samix.mixup.mixer.mixer import Mixer
from samix.mixup.pairing import Pairing, draw_local_pairing, draw_pairing
from samix.mixup.policies.adautomix import AdAutoMix
from samix.mixup.policies.alignmix import AlignMix
from samix.mixup.policies.attentivemix import AttentiveMix
from samix.mixup.policies.augmix import AugMix
from samix.mixup.policies.automix import AutoMix
from samix.mixup.policies.comixup import CoMixup
from samix.mixup.policies.cutmix import CutMix
from samix.mixup.policies.fmix import FMix
from samix.mixup.policies.gridmix import GridMix
from samix.mixup.policies.guidedmixup import GuidedMixup, greedy_cycle
from samix.mixup.policies.inter_intra import InterIntra
from samix.mixup.policies.manifoldmix import ManifoldMix
from samix.mixup.policies.mixpro import MixPro
from samix.mixup.policies.mixup import Mixup
from samix.mixup.policies.patchup import PatchUp
from samix.mixup.policies.pixmix import PixMix
from samix.mixup.policies.puzzlemix import PuzzleMix
from samix.mixup.policies.random_choice import RandomChoice
from samix.mixup.policies.resizemix import ResizeMix
from samix.mixup.policies.saliency_grafting import SaliencyGrafting
from samix.mixup.policies.saliencymix import SaliencyMix
from samix.mixup.policies.samix import SAMix
from samix.mixup.policies.samix_p import SAMixP
from samix.mixup.policies.smmix import SMMix
from samix.mixup.policies.smoothmix import SmoothMix
from samix.mixup.policies.snapmix import SnapMix
from samix.mixup.policies.stackmix import StackMix, stack
from samix.mixup.policies.supermix import SuperMix
from samix.mixup.policies.tla import TLA
from samix.mixup.policies.tokenmix import TokenMix
from samix.mixup.policies.transmix import TransMix
from samix.mixup.policy import FeatureMix, ImageInfo, Mixed, ModelOutputs, PairInfo, Policy, blend
from samix.mixup.registered import POLICIES

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
    "InterIntra",
    "ManifoldMix",
    "MixPro",
    "Mixed",
    "MixedBatch",
    "Mixer",
    "Mixup",
    "Pairing",
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
    "SmoothMix",
    "SnapMix",
    "StackMix",
    "SuperMix",
    "TokenMix",
    "TransMix",
    "FeatureMix",
    "ImageInfo",
    "MixDraws",
    "ModelOutputs",
    "PairInfo",
    "blend",
    "draw_lam",
    "draw_lams",
    "draw_local_pairing",
    "draw_policy",
    "draw_ratio",
    "expanded",
    "for_graph",
    "to_device",
    "draw_pairing",
    "greedy_cycle",
    "mix",
    "mix_batch",
    "mixed_term",
    "stack",
]
