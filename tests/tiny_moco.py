"""MoCo hosts of a few weights, and their batches."""

import torch

from samix.config.mixing import MaskAdjustConfig, MixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.config.ssl import MoCoConfig
from samix.core.step import StepContext
from samix.data import TwoViews
from samix.learners.mixer_training import ClusterMixerTraining, InstanceMixerTraining
from samix.learners.moco import MoCo
from samix.mixup import CutMix, Mixer, Mixup, SAMix
from samix.nn import Encoder, build_backbone

IMAGES, BATCH, CLUSTERS = 12, 4, 3
CONFIG = MoCoConfig(
    batch_size=BATCH, queue=2 * BATCH, momentum=0.9, projector=ProjectorConfig(hidden=8, out=6)
)
LABELS = torch.tensor([0, 0, 1, 2, 1, 0, 2, 2, 0, 1, 1, 2])
WEIGHTS = torch.tensor([0.5, 1.5, 1.0])
SAMIX = ["instance", "cluster"]
KINDS = ["none", "mixup", "cutmix", *SAMIX]


def learner_of(kind, seed=0, config=CONFIG, **training):
    """A tiny host, all networks of which differ and are far from their initial state."""
    torch.manual_seed(seed)
    encoder = Encoder(build_backbone(BackboneConfig(channels=(4, 4, 6, 8))), config.projector)
    policy = {"mixup": Mixup, "cutmix": CutMix}[kind]() if kind in ("mixup", "cutmix") else None
    mixer_training = None
    if kind in SAMIX:
        mixer = Mixer(6, MixerConfig(rescale_k=0.25))
        options = MixerTrainingConfig(objective=kind, mask_adjust=MaskAdjustConfig(margin=0.02), **training)
        mixer_training = (
            InstanceMixerTraining(mixer, options)
            if kind == "instance"
            else ClusterMixerTraining(mixer, options, 8, LABELS, WEIGHTS.to(torch.get_default_dtype()))
        )
        policy = SAMix(mixer, options.mask_adjust)
    learner = MoCo(encoder, config, seed=seed, policy=policy, mixer_training=mixer_training)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    if mixer_training is not None:
        mixer.gamma.data.fill_(0.7)
    return learner


def batch_of(step, n=BATCH):
    generator = torch.Generator().manual_seed(step)
    views = torch.randn(2, n, 3, 16, 16, generator=generator, dtype=torch.get_default_dtype())
    index = torch.randperm(IMAGES, generator=generator)[:n]
    return TwoViews(views[0], views[1], index, torch.full((n,), -1))


def context(step):
    return StepContext(seed=0, step=step, total_steps=10, epoch=0)
