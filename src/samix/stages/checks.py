"""The checks of several stages together, before anything trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from samix.config.settings import Settings
from samix.stages.stage import Stage


def check_settings(stages: Iterable[Stage], settings: Settings, card: Mapping[str, Any]) -> None:
    """Hold the settings of stages against the devices and the data's card.

    Raises: ConfigError, DataError or DependencyError if a stage could not run; IncompatibleError for a policy
    that does not go with the other settings.
    """
    from samix.jobs.checks import check_backbone
    from samix.training.launch import check_devices

    check_devices(settings.training)
    check_backbone(settings.model.backbone, card["image_size"])
    for stage in stages:
        if stage.check is not None:
            stage.check(settings, card)
