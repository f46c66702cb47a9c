"""Jobs on a few digits with a backbone of a few channels."""

from functools import cache

import torch

from samix.config.clustering import ClusteringConfig
from samix.config.data import DataConfig
from samix.config.detection import DetectionConfig
from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, ProjectorConfig
from samix.config.settings import Settings
from samix.config.ssl import MoCoConfig, ModelConfig
from samix.config.stages import (
    LinearEvaluationConfig,
    MixerPretrainingConfig,
    PseudoLabelsConfig,
    SSLTrainingConfig,
)
from samix.config.supervised import SLTrainingConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import OptimizerConfig, TrainingConfig
from samix.data import Images, prepare
from samix.jobs.labels import uses_labels
from samix.jobs.self_supervised import SelfSupervisedJob
from samix.jobs.supervised import SupervisedJob

IMAGES = 64
SGD = OptimizerConfig(lr=0.05)
MODEL = ModelConfig(
    backbone=BackboneConfig(channels=(4, 4, 8, 8)),
    moco=MoCoConfig(
        batch_size=16, queue=32, projector=ProjectorConfig(hidden=16, out=8, norm=True), optimizer=SGD
    ),
)
CLUSTERING = ClusteringConfig(clusters=4, faiss_device="cpu", centroid_interval=2)
SUPERVISED = SupervisedConfig(batch_size=16, optimizer=SGD)
SETTINGS = Settings(
    model=MODEL,
    training=TrainingConfig(device="cpu", threads=1, work_dir="work", log_every=1),
    supervised=SUPERVISED,
    mixer_pretraining_sl=SupervisedMixerConfig(epochs=1),
    sl_training=SLTrainingConfig(epochs=1),
    pseudo_labels=PseudoLabelsConfig(init_epochs=1, epochs=1, batch_size=16, clustering=CLUSTERING),
    mixer_pretraining=MixerPretrainingConfig(epochs=1),
    ssl_training=SSLTrainingConfig(epochs=1),
    linear_evaluation=LinearEvaluationConfig(epochs=2, batch_size=16, augmentation="none"),
    detection_transfer=DetectionConfig(),
)


@cache
def digits():
    """64 training digits of 16 x 16 pixels, and their test images."""
    return images_of(DataConfig(source="digits", image_size=16, limit=IMAGES))


def images_of(config, seed=0):
    """The handle of a data set."""
    found = prepare(config, seed)
    return Images(found.card, found.manifest)


def shared(folder, *, label="tiny_jobs", seed=5, sink=None, **training):
    """What all jobs have, on the tiny data and model."""
    settings = {"device": "cpu", "threads": 1, "checkpoint_every": 3, "log_every": 1, **training}
    return {
        "label": label,
        "seed": seed,
        "training": TrainingConfig(work_dir=folder, **settings),
        "sink": sink,
        "images": digits(),
        "model": MODEL,
    }


def on_backbone(fields):
    """The fields of `shared` for jobs that take a backbone without MoCo."""
    return {name: value for name, value in fields.items() if name != "model"} | {"backbone": MODEL.backbone}


def pseudo_labels(clusters=4):
    """Rows as the stage pseudo_labels writes them, with clusters of unequal sizes."""
    rows = digits().manifest
    rows = rows.loc[rows["split"] == "train", ["index", "path", "label"]].reset_index(drop=True)
    drawn = torch.randint(clusters, (len(rows),), generator=torch.Generator().manual_seed(1))
    return rows.assign(pseudo_label=drawn.minimum(torch.tensor(clusters - 1)).numpy())


def samix_job(folder, objective="cluster", epochs=2, mixer=None, **options):
    """SAMix online: the job with the most state. mixer: options of its training."""
    config, policy = SSLMixerTrainingConfig(objective=objective, **(mixer or {})), PolicyConfig(name="samix")
    clusters = uses_labels(policy, config, None) and config.cluster.labels != "true"
    return SelfSupervisedJob(
        **shared(folder, **options),
        epochs=epochs,
        policy=policy,
        mixer=config,
        pseudo_labels=pseudo_labels() if clusters else None,
        clustering=CLUSTERING,
    )


def supervised_job(folder, policy="samix", epochs=2, mixer=None, pretrained_mixer=None, host=None, **options):
    """Training under labels. host: options of SupervisedConfig; mixer: of its training, for policy samix."""
    return SupervisedJob(
        **on_backbone(shared(folder, **options)),
        supervised=SUPERVISED.model_copy(update=host or {}),
        epochs=epochs,
        policy=PolicyConfig(name=policy),
        mixer=SupervisedMixerConfig(**(mixer or {})) if policy == "samix" else None,
        pretrained_mixer=pretrained_mixer,
    )
