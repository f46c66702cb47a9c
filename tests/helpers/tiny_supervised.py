"""Supervised hosts of a few weights, and their batches."""

import numpy as np
import torch
from torch import nn

from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.config.supervised import EMAConfig, SupervisedConfig, SupervisedMixerConfig
from samix.core.step import StepContext
from samix.data import Labelled
from samix.methods.mixer_training import MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import CutMix, Mixer, Mixup, ResizeMix, SAMix, SAMixP
from samix.nn import Classifier, build_backbone

BATCH, CLASSES = 5, 4
PLAIN = {"mixup": Mixup, "cutmix": CutMix, "resizemix": ResizeMix}
KINDS = ["none", "mixup", "cutmix", "samix", "samix_p"]
BACKBONE = BackboneConfig(channels=(4, 4, 6, 8))
MIXER = MixerConfig(rescale_k=0.25)
ADJUST = MaskAdjustConfig(margin=0.02, lam_margin=0.08)
STATISTICS = ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]), ([0.1, 0.2, 0.3], [0.3, 0.2, 0.4])


def learner_of(kind, seed=0, adjust=ADJUST, training=None, momentum=None, backbone=BACKBONE, **options):
    """A tiny host, all networks of which differ and are far from their initial state.

    options: of SupervisedConfig; training: of SupervisedMixerConfig; momentum: of EMAConfig.
    """
    tapped = build_backbone(backbone).tap_channels
    torch.manual_seed(seed)
    config = SupervisedConfig(ema=EMAConfig(**(momentum or {"start": 0.8, "end": 0.95})), **options)
    policy, mixer_training = PLAIN.get(kind, lambda: None)(), None
    if kind == "samix":
        mixer_options = SupervisedMixerConfig(mask_adjust=adjust, **(training or {}))
        mixer_training = MixerTraining(Mixer(tapped, MIXER), mixer_options)
        policy = SAMix(mixer_training.mixer, adjust)
    elif kind == "samix_p":
        own, other = STATISTICS
        policy = SAMixP(build_backbone(BACKBONE), Mixer(6, MIXER), adjust, trained_on=own, images_use=other)
        policy.to(torch.get_default_dtype())
    classifier = Classifier(
        build_backbone(backbone), CLASSES, head_names(config, policy), shared=config.heads == "shared"
    )
    learner = Supervised(classifier, config, policy=policy, alpha=2.0, mixer_training=mixer_training)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    if mixer_training is not None:
        mixer_training.mixer.gamma.data.fill_(0.7)
    if kind == "samix_p":  # statistics as those of a trained network, and not of a fresh one
        for part in (policy.backbone, policy.mixer):
            nn.Module.train(part)
        for _ in range(20):
            maps = policy.info_from(batch_of(7).images).maps
            draws = policy.mixer.draw(np.random.default_rng(0), 0.5)
            policy.mixer(maps, maps.flip(0), draws, (16, 16))
    return learner.train()


def batch_of(step, n=BATCH, side=16):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(n, 3, side, side, generator=generator, dtype=torch.get_default_dtype())
    labels = torch.randint(CLASSES, (n,), generator=generator)
    return Labelled(images, labels, torch.arange(n))


def context(step, total=10):
    return StepContext(seed=0, step=step, total_steps=total, epoch=step // 2)
