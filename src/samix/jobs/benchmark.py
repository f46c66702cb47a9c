"""The benchmark's cells: policies x backbones x seeds, all of them checked before the first one trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from samix.config.alphas import default_alpha, family_of
from samix.config.benchmark import BackboneEntry, BenchmarkConfig, PolicyEntry
from samix.config.mixing import PolicyConfig
from samix.config.trials import TrialSettings
from samix.core.errors import ConfigError, SamixError
from samix.data import pretraining_split
from samix.jobs.build import static_policy
from samix.jobs.checks import (
    check_backbone,
    check_linear,
    check_policy,
    check_pseudo_labels,
    check_supervised_settings,
)
from samix.jobs.trials import Bench, Trial
from samix.methods import MoCo
from samix.methods.supervised import check_mixed_loss
from samix.mixup import POLICIES, Policy
from samix.training.launch import check_devices

SECTION = "mixup_benchmark"
STAGES = {"sl": ("sl_training", "mixer_pretraining_sl"), "ssl": ("ssl_training", "mixer_pretraining")}
"""Of each host: the stage that trains with a policy, and the one that trains samix_p's Mixer."""


@dataclass(frozen=True)
class Cell(Trial):
    """One training of the benchmark; its group is the backbone."""

    @property
    def about(self) -> dict[str, Any]:
        """What its row in the table of trials says before the figures."""
        return {
            "backbone": self.group,
            "label": self.name,
            "policy": self.policy.name,
            "alpha": self.policy.alpha,
            "epochs": self.epochs,
            "host": self.host,
            "seed": self.seed,
        }


def plan(config: BenchmarkConfig, settings: TrialSettings, bench: Bench) -> list[Cell]:
    """The cells, in the order of the table.

    A policy that a backbone or the host cannot work with is refused; everything else that is wrong is an
    error. Raises: ConfigError that names the entry and the key at fault.
    """
    # the first validation would import it, and the first cell's time would tell of that
    import torchmetrics.functional.classification  # noqa: F401

    common = settings.changed(config.common, f"{SECTION}.common")
    cells: list[Cell] = []
    for backbone, on_backbone in _backbones(config, common):
        for entry in config.chosen():
            where = f"{SECTION}.policies, entry {entry.name}"
            found = on_backbone.changed(_changes(config, entry, on_backbone, bench), where)
            first = Cell(backbone, entry.name, config.host, found, config.seeds[0])
            with _told(f"{where}, backbone {backbone}"):
                _check(first, bench)
            refused = refusal(first, bench)
            cells += [Cell(backbone, entry.name, config.host, found, seed, refused) for seed in config.seeds]
    return cells


def refusal(trial: Trial, bench: Bench) -> str | None:
    """Why the host cannot train this policy on this backbone; None where it can."""
    settings, policy, stage = trial.settings, trial.policy, f"{trial.host}_training"
    backbone, card = settings.model.backbone, bench.card
    try:
        if trial.host == "sl":
            check_policy(stage, policy, backbone, card, classes=True)
            if policy.name != "none":
                check_mixed_loss(POLICIES[policy.name], settings.supervised)
        else:
            one_view = settings.model.moco.cross_view not in ("swap", "same_swap")
            check_policy(stage, policy, backbone, card, classes=False, one_view=one_view)
    except SamixError as error:
        return str(error).removeprefix(f"{stage}.policy: ")
    return None


def _backbones(config: BenchmarkConfig, settings: TrialSettings) -> list[tuple[str, TrialSettings]]:
    if config.backbones is None:
        return [(settings.model.backbone.name, settings)]
    return [(entry.name, _on(entry, settings)) for entry in config.backbones]


def _on(entry: BackboneEntry, settings: TrialSettings) -> TrialSettings:
    changes = {"name": entry.model, **entry.changes}
    where = f"{SECTION}.backbones, entry {entry.name}"
    return settings.changed({f"model.backbone.{key}": value for key, value in changes.items()}, where)


def _changes(
    config: BenchmarkConfig, entry: PolicyEntry, settings: TrialSettings, bench: Bench
) -> dict[str, Any]:
    """What an entry stands for, its own changes last."""
    stage, mixer = STAGES[config.host]
    alpha = entry.alpha
    if alpha is None:
        family = family_of(settings.model.backbone.name)
        kind = POLICIES.get(entry.policy, Policy)
        data_set = config.alphas or bench.card["source"]
        alpha = default_alpha(entry.policy, data_set, family, kind.default_alpha)
    policy = {"name": entry.policy, "alpha": alpha, "options": entry.options}
    lengths = {f"{stage}.epochs": config.epochs, f"{mixer}.epochs": config.mixer_epochs}
    given = {key: epochs for key, epochs in lengths.items() if epochs is not None}
    return {f"{stage}.policy": policy, **given, **entry.changes}


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except SamixError as error:
        raise ConfigError(f"{where}: {error}") from error


def _check(trial: Trial, bench: Bench) -> None:
    """Hold the settings against data and devices, and a policy's options against the policy."""
    settings, card, training = trial.settings, bench.card, bench.training
    policy = trial.policy
    if policy.options and POLICIES[policy.name].uses_mixer == "none":  # a Mixer's options are no keywords
        static_policy(policy, (card["mean"], card["std"]))
    if trial.host == "sl":
        whatever = PolicyConfig(name="none")  # what speaks against the trial's own is a refusal
        check_supervised_settings(card, settings.model, training, settings.supervised, whatever)
        return
    check_devices(training)
    check_backbone(settings.model.backbone, card["image_size"])
    images = card["counts"][pretraining_split(bench.manifest)]
    MoCo.check(settings.model.moco, images)
    check_linear(settings.linear_evaluation, card["counts"]["train"])
    check_pseudo_labels(settings.pseudo_labels, images)
