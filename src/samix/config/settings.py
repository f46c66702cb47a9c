"""The parameters of all stages together, as a chain of stages or a trial of a comparison sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from samix.config.base import Config
from samix.config.detection import DetectionConfig
from samix.config.keys import renamed_to
from samix.config.mixing import PolicyConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import (
    LinearEvaluationConfig,
    MixerPretrainingConfig,
    PseudoLabelsConfig,
    SSLTrainingConfig,
)
from samix.config.supervised import SLTrainingConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError

Host = Literal["sl", "ssl"]


class Settings(Config):
    """Sections of the parameters; each is named like the stage that it belongs to, or shared by stages."""

    model: ModelConfig
    training: TrainingConfig
    supervised: SupervisedConfig
    mixer_pretraining_sl: SupervisedMixerConfig
    sl_training: SLTrainingConfig
    pseudo_labels: PseudoLabelsConfig
    mixer_pretraining: MixerPretrainingConfig
    ssl_training: SSLTrainingConfig
    linear_evaluation: LinearEvaluationConfig
    detection_transfer: DetectionConfig

    def policy(self, host: Host) -> PolicyConfig:
        """The policy that the host's network is trained with."""
        return self.sl_training.policy if host == "sl" else self.ssl_training.policy

    def epochs(self, host: Host) -> int:
        """The length of that training."""
        return self.sl_training.epochs if host == "sl" else self.ssl_training.epochs

    def changed(self, changes: Mapping[str, Any], where: str) -> Settings:
        """The settings with some values replaced, such as {"sl_training.policy.name": "cutmix"}.

        Raises: ConfigError that names `where` and the key, for a key that does not exist or has another name
        today, or a value that is not allowed.
        """
        values = self.model_dump()
        for key, value in changes.items():
            now = renamed_to(Settings, key.split("."))
            if now is not None:
                raise ConfigError(f"{where}: {key}: renamed to {now}.")
            *path, last = key.split(".")
            part = values
            for name in path:
                if not isinstance(part.get(name), dict):
                    raise ConfigError(f"{where}: there is no parameter {key}.")
                part = part[name]
            part[last] = value
        try:
            return Settings.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ConfigError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
