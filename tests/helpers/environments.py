"""Environments of the project's conf/ as Kedro merges them, and as typed models."""

from pathlib import Path
from typing import Any

from samix import settings
from samix.config.comparison import ComparisonConfig
from samix.config.data import DataConfig
from samix.config.detection import DetectionConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import (
    LinearEvaluationConfig,
    MixerPretrainingConfig,
    PseudoLabelsConfig,
    SSLTrainingConfig,
)
from samix.config.supervised import SLTrainingConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.kedro.config_loader import ProjectConfigLoader

CONF = Path(__file__).parents[2] / "conf"
ENVIRONMENTS = sorted({path.parent.name for path in CONF.glob("*/parameters*.yml")} - {"base", "local"})
MODELS = {
    "data_preparation": DataConfig,
    "model": ModelConfig,
    "supervised": SupervisedConfig,
    "mixer_pretraining_sl": SupervisedMixerConfig,
    "sl_training": SLTrainingConfig,
    "pseudo_labels": PseudoLabelsConfig,
    "mixer_pretraining": MixerPretrainingConfig,
    "ssl_training": SSLTrainingConfig,
    "linear_evaluation": LinearEvaluationConfig,
    "detection_transfer": DetectionConfig,
    "training": TrainingConfig,
    "mixup_benchmark": ComparisonConfig,
    "samix_ablation": ComparisonConfig,
}


class Settings:
    """Parameters of an environment, merged as Kedro does it, and as the stages' typed models."""

    def __init__(self, name, changes):
        nested: dict[str, Any] = {}
        for key, value in changes.items():
            *path, last = key.split(".")
            place = nested
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
        loader = ProjectConfigLoader(
            str(CONF), env=name, runtime_params=nested, **settings.CONFIG_LOADER_ARGS
        )
        self.values = loader["parameters"]
        for key, model in MODELS.items():
            setattr(self, key, model(**self.values[key]))

    def __getitem__(self, key):
        value = self
        for part in key.split("."):
            value = getattr(value, part)
        return value

    @property
    def card(self):
        """The description of the images that data_preparation would write."""
        data = self.data_preparation
        return {
            "source": data.source,
            "mean": data.mean,
            "std": data.std,
            "classes": [str(number) for number in range(data.classes)],
            "image_size": data.image_size,
            "stored_size": data.stored_size or data.image_size,
            "flip": True,
        }

    @property
    def backbone(self):
        """The backbone's options, without a download of its first weights."""
        return self.model.backbone.model_copy(update={"pretrained": False})
