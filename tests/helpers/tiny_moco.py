"""MoCo hosts of a few weights, and their batches."""

import torch

from helpers import tiny_supervised
from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.config.mixing import MaskAdjustConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.config.ssl import MoCoConfig
from samix.core.step import StepContext
from samix.data import TwoViews
from samix.methods import MoCo, SelfSupervised
from samix.methods.labels import FixedLabels, OnlineLabels
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.mixup import CutMix, Mixer, Mixup, SAMix, SAMixP
from samix.nn import Encoder, build_backbone

IMAGES, BATCH, CLUSTERS, DIM = 12, 4, 3, 6
BACKBONE = BackboneConfig(channels=(4, 4, 6, 8))
CONFIG = MoCoConfig(batch_size=BATCH, queue=2 * BATCH, ema=0.9, projector=ProjectorConfig(hidden=8, out=DIM))
LABELS = torch.tensor([0, 0, 1, 2, 1, 0, 2, 2, 0, 1, 1, 2])
WEIGHTS = torch.tensor([0.5, 1.5, 1.0])
QUEUE_INDEX = torch.tensor([3, 8, -1, 0, 4, 11, 2, -1])
SAMIX = ["instance", "cluster"]
KINDS = ["none", "mixup", "cutmix", *SAMIX]
ADJUST = MaskAdjustConfig(margin=0.02)


def labels_of(kind):
    """Labels of the 12 images: fixed ones with weights that differ, or a memory that follows the keys."""
    if kind == "fixed":
        labels = FixedLabels(LABELS.clone(), CLUSTERS)
        labels.weights.copy_(WEIGHTS)
        return labels
    # centroids at every step, small clusters never: labels change by the keys alone
    config = ClusteringConfig(clusters=CLUSTERS, centroid_interval=1, small_cluster_interval=1000)
    memory = ODCMemory(IMAGES, DIM, config)
    generator = torch.Generator().manual_seed(4)
    memory.load(torch.randn(IMAGES, DIM, generator=generator, dtype=torch.get_default_dtype()), LABELS)
    return OnlineLabels(memory)


def learner_of(kind, seed=0, config=CONFIG, labels=None, adjust=ADJUST, backbone=BACKBONE, **training):
    """A tiny host, all networks of which differ and are far from their initial state.

    labels: "fixed" or "online"; without, SAMix-C has fixed ones and the others have none.
    """
    torch.manual_seed(seed)
    encoder = Encoder(build_backbone(backbone), config.projector)
    policy = {"mixup": Mixup, "cutmix": CutMix}[kind]() if kind in ("mixup", "cutmix") else None
    source = labels_of(labels or "fixed") if labels or kind == "cluster" else None
    mixer_training = None
    if kind in SAMIX:
        mixer = Mixer(encoder.backbone.tap_channels, MixerConfig(rescale_k=0.25))
        options = SSLMixerTrainingConfig(objective=kind, mask_adjust=adjust, **training)
        width = encoder.backbone.width if options.cluster.features == "pooled" else DIM
        mixer_training = (
            MixerTraining(mixer, options)
            if kind == "instance"
            else ClusterMixerTraining(mixer, options, width, CLUSTERS)
        )
        policy = SAMix(mixer, options.mask_adjust)
    method = MoCo(encoder, config, seed)
    learner = SelfSupervised(method, policy=policy, mixer_training=mixer_training, labels=source)
    learner.method.queue.index.copy_(QUEUE_INDEX)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    if mixer_training is not None:
        mixer.gamma.data.fill_(0.7)
    return learner


def with_samix_p(learner):
    """The host with a frozen Mixer and its own encoder as the policy."""
    donor = tiny_supervised.learner_of("samix").mixer_training.mixer
    own, other = tiny_supervised.STATISTICS
    learner.policy = SAMixP(
        build_backbone(tiny_supervised.BACKBONE),
        donor,
        tiny_supervised.ADJUST,
        trained_on=own,
        images_use=other,
    ).to(torch.get_default_dtype())
    return learner


def new_keys(learner):
    """The keys that the last step has made."""
    return learner._taught[2].keys


def batch_of(step, n=BATCH):
    generator = torch.Generator().manual_seed(step)
    views = torch.randn(2, n, 3, 16, 16, generator=generator, dtype=torch.get_default_dtype())
    index = torch.randperm(IMAGES, generator=generator)[:n]
    return TwoViews(views[0], views[1], index, torch.full((n,), -1))


def context(step):
    return StepContext(seed=0, step=step, total_steps=10, epoch=step // 2)
