"""Runs the trainings of benchmarks/same_bits.py with samix as it is here; it changes with the code."""

from __future__ import annotations

from typing import Any

import torch
from same_bits_list import Training
from same_bits_steps import BATCH, CLASSES, CLUSTERS, IMAGES, LABELS, run_all

from samix.clustering.memory import ODCMemory
from samix.config.adautomix import AdAutoMixConfig
from samix.config.clustering import ClusteringConfig
from samix.config.mixing import ClusterConfig, MaskAdjustConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.config.ssl import MoCoConfig
from samix.config.supervised import EMAConfig, MixedLossConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import OptimizerConfig
from samix.core.learner import Learner
from samix.methods import MoCo, SelfSupervised
from samix.methods.adversarial import AdversarialTraining
from samix.methods.labels import FixedLabels, LabelSource, OnlineLabels
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import AdAutoMix, AutoMix, Mixer, Policy, SAMix, SAMixP
from samix.mixup.policies.adautomix import AdversarialMixer
from samix.mixup.table import example
from samix.nn import Backbone, Classifier, Encoder, build_backbone

CNN = BackboneConfig(channels=(16, 16, 16, 16))
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
OPTIMIZER = OptimizerConfig(lr=0.05)
ADJUST = MaskAdjustConfig(margin=0.02)
MIXER = MixerConfig(rescale_k=0.25, init_std=0.3)
PROJECTOR = ProjectorConfig(hidden=8, out=6)


def learner_of(training: Training) -> Learner:
    """The learner, with weights that depend on nothing but the training."""
    torch.manual_seed(0)
    return moco(training) if training.host == "ssl" else supervised(training)


def moco(training: Training) -> SelfSupervised:
    """MoCo with one of CONTRASTIVE."""
    cross_view: Any = training.cross_view
    config = MoCoConfig(
        batch_size=BATCH, queue=2 * BATCH, ema=0.9, cross_view=cross_view, projector=PROJECTOR,
        optimizer=OPTIMIZER,
    )  # fmt: skip
    encoder = Encoder(build_backbone(CNN), config.projector)
    policy: Policy | None = None
    labels, mixer_training = _labels(training.kind), None
    if training.kind.startswith("SAMix-"):
        mixer_training = _contrastive_training(training, encoder.backbone)
        policy = SAMix(mixer_training.mixer, ADJUST)
    elif training.kind != "none":
        policy = _static_policy(training.kind)
    method = MoCo(encoder, config, seed=0)
    return SelfSupervised(method, policy=policy, mixer_training=mixer_training, labels=labels)


def _contrastive_training(training: Training, backbone: Backbone) -> MixerTraining:
    by_cluster = training.kind.startswith("SAMix-C")
    config = SSLMixerTrainingConfig(
        objective="cluster" if by_cluster else "instance", filter_negatives="filtered" in training.kind,
        cluster=ClusterConfig(train_encoder="encoder" in training.kind), mixer=MIXER, optimizer=OPTIMIZER,
        mask_adjust=ADJUST, **training.mixer,
    )  # fmt: skip
    mixer = Mixer(backbone.tap_channels, config.mixer)
    if by_cluster:
        return ClusterMixerTraining(mixer, config, backbone.width, CLUSTERS)
    return MixerTraining(mixer, config)


def _labels(kind: str) -> LabelSource | None:
    if "online" in kind:
        config = ClusteringConfig(clusters=CLUSTERS, centroid_interval=1)
        memory = ODCMemory(IMAGES, PROJECTOR.out, config)
        memory.load(torch.randn(IMAGES, PROJECTOR.out), LABELS)
        return OnlineLabels(memory)
    if "fixed" in kind or "filtered" in kind or kind == "inter_intra":
        return FixedLabels(LABELS, CLUSTERS, reweight_power=0.5)
    return None


def supervised(training: Training) -> Supervised:
    """Supervised training with a policy."""
    options = dict(training.options)
    options |= {"mixed_loss": MixedLossConfig(**options.get("mixed_loss", {}))}
    ema = EMAConfig(start=0.9, end=0.99)
    config = SupervisedConfig(batch_size=BATCH, optimizer=OPTIMIZER, ema=ema, **options)
    backbone = build_backbone(VIT if training.transformer else CNN)
    policy, mixer_training = _policy_and_training(training, backbone)
    names = head_names(config, policy)
    classifier = Classifier(backbone, CLASSES, names, shared=config.heads == "shared")
    return Supervised(
        classifier, config, policy=policy, alpha=1.0, lam_per_sample=training.lam_per_sample,
        mixer_training=mixer_training,
    )  # fmt: skip


def _policy_and_training(
    training: Training, backbone: Backbone
) -> tuple[Policy | None, MixerTraining | None]:
    name = training.kind
    if name == "none":
        return None, None
    mixer = MIXER.model_copy(update={"upsample": "nearest", "encoding": "none"} if name == "automix" else {})
    config = SupervisedMixerConfig(mixer=mixer, mask_adjust=ADJUST, optimizer=OPTIMIZER, **training.mixer)
    if name == "adautomix":
        adversarial = AdAutoMix(AdversarialMixer(backbone.tap_channels, 0.3), AdAutoMixConfig())
        return adversarial, AdversarialTraining(adversarial, config)
    if name in ("samix", "automix"):
        own = MixerTraining(Mixer(backbone.tap_channels, config.mixer), config)
        return (SAMix if name == "samix" else AutoMix)(own.mixer, ADJUST), own
    return _static_policy(name), None


def _static_policy(name: str) -> Policy:
    if name != "samix_p":
        return example(name)
    grey = [0.5] * 3, [0.25] * 3
    backbone = build_backbone(CNN)
    return SAMixP(backbone, Mixer(backbone.tap_channels, MIXER), ADJUST, trained_on=grey)


def parts(learner: Learner) -> dict[str, torch.nn.Module]:
    """The modules whose state is compared, by names that do not change with the code."""
    names = {
        "encoder": "encoder", "momentum": "momentum_encoder", "queue": "queue", "classifier": "classifier",
        "slow": "momentum_classifier", "policy": "policy", "mixer": "mixer_training", "labels": "labels",
    }  # fmt: skip
    owners = [learner, getattr(learner, "method", None)]
    found = ((name, getattr(owner, attribute, None)) for name, attribute in names.items() for owner in owners)
    return {name: module for name, module in found if module is not None}


if __name__ == "__main__":
    run_all(learner_of, parts)
