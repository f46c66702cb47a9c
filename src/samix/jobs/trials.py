"""One trial of a comparison: the trainings that lead from settings and a seed to figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
from accelerate import Accelerator

from samix.config.mixing import MixerTrainingConfig, PolicyConfig, SSLMixerTrainingConfig
from samix.config.training import TrainingConfig
from samix.config.trials import Host, TrialSettings
from samix.core.files import read_json
from samix.core.weights import WeightsFile
from samix.jobs import moco, supervised
from samix.jobs.build import job_fields, mixer_along
from samix.jobs.labels import uses_labels
from samix.jobs.linear import LinearJob, evaluate_linear
from samix.jobs.pseudo_labels import PseudoLabelsJob, make_pseudo_labels
from samix.training import Job, MetricSink, run_job
from samix.training.machine import reset_peak_memory

J = TypeVar("J", bound=Job)
_MEASURED = ("mixer_pretraining_sl", "sl_training", "mixer_pretraining", "ssl_training")
"""Stages whose cost is told."""


@dataclass(frozen=True)
class Trial:
    """What is trained: group and name of the variant, host, settings, seed.

    refused: why it cannot be, where that is known beforehand.
    """

    group: str
    name: str
    host: Host
    settings: TrialSettings
    seed: int
    refused: str | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What its row in the table of trials says before the figures."""
        return {"group": self.group, "variant": self.name, "host": self.host, "seed": self.seed}

    @property
    def title(self) -> str:
        """What its run is called."""
        return f"{self.group} {self.name} {self.host} seed{self.seed}"

    @property
    def policy(self) -> PolicyConfig:
        """The policy of the training whose figures count."""
        settings = self.settings
        return settings.sl_training.policy if self.host == "sl" else settings.ssl_training.policy

    @property
    def epochs(self) -> int:
        """Its length."""
        settings = self.settings
        return settings.sl_training.epochs if self.host == "sl" else settings.ssl_training.epochs


@dataclass(frozen=True)
class Bench:
    """What the trials of a comparison share: the images, and how and where training runs.

    Results lie in folders named by their fingerprint: trainings that trials have in common are done once, and
    whatever is finished is never done again.
    """

    card: dict[str, Any]
    manifest: pd.DataFrame
    training: TrainingConfig

    def run(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        """Figures of one trial: top1, top1_last (%), seconds_per_epoch, peak_memory_mb, and more of its host.

        pretraining_seconds: of a frozen Mixer, which is trained before; other policies have none.
        """
        return (self._supervised if trial.host == "sl" else self._self_supervised)(trial, sink)

    def _supervised(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        settings, policy = trial.settings, trial.settings.sl_training.policy
        mixer = settings.mixer_pretraining_sl
        shared = {"backbone": settings.model.backbone, "supervised": settings.supervised}
        bundle, before = None, {}
        if policy.name == "samix_p":
            own = PolicyConfig(name="samix", alpha=mixer.alpha)
            inputs = {**shared, "epochs": mixer.epochs, "policy": own, "mixer": mixer}
            job = self._job(
                supervised.pretrain_mixer, supervised.SupervisedJob, trial, "mixer_pretraining_sl", inputs
            )
            bundle, before = job.result, _cost_before(job)
        inputs = {
            **shared,
            "epochs": settings.sl_training.epochs,
            "policy": policy,
            "mixer": mixer_along(policy, MixerTrainingConfig, mixer),
            "bundle": bundle,
        }
        job = self._job(
            supervised.train_classifier, supervised.SupervisedJob, trial, "sl_training", inputs, sink
        )
        about = job.result.metadata
        accuracies = {key.removeprefix("val_"): figure["median"] for key, figure in about["figures"].items()}
        return {**_top1(about["figures"][about["headline"]]), **accuracies, **_cost(job), **before}

    def _self_supervised(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        settings, policy = trial.settings, trial.settings.ssl_training.policy
        mixer = settings.mixer_pretraining
        bundle, before = None, {}
        if policy.name == "samix_p":
            own = PolicyConfig(name="samix", alpha=mixer.alpha)
            inputs = {
                "epochs": mixer.epochs,
                "policy": own,
                "mixer": mixer,
                "start": self._clustered(trial).result if mixer.start == "pseudo_labels" else None,
                **self._labels(trial, own, mixer, None),
            }
            job = self._moco(moco.pretrain_mixer, trial, "mixer_pretraining", inputs, None)
            bundle, before = job.result, _cost_before(job)
        own_mixer = mixer_along(policy, SSLMixerTrainingConfig, mixer)
        inputs = {
            "epochs": settings.ssl_training.epochs,
            "policy": policy,
            "mixer": own_mixer,
            "bundle": bundle,
            **self._labels(trial, policy, own_mixer, bundle),
        }
        encoder = self._moco(moco.train_encoder, trial, "ssl_training", inputs, sink)
        probe = {"model": settings.model, "weights": encoder.result, "config": settings.linear_evaluation}
        linear = self._job(evaluate_linear, LinearJob, trial, "linear_evaluation", probe)
        figures = dict(linear.result.metadata["figures"])
        own = figures.pop("linear")
        others = {f"{name}_{key}": value for name, found in figures.items() for key, value in found.items()}
        top1 = {"top1": own["top1"], "top1_last": own["top1_last"]}
        return {**top1, **others, **_cost(encoder), **before}

    def _moco(
        self,
        worker: Callable[[moco.MoCoJob, Accelerator], None],
        trial: Trial,
        stage: str,
        inputs: dict[str, Any],
        sink: MetricSink | None,
    ) -> moco.MoCoJob:
        return self._job(worker, moco.MoCoJob, trial, stage, {"model": trial.settings.model, **inputs}, sink)

    def _labels(
        self, trial: Trial, policy: PolicyConfig, mixer: Any, bundle: WeightsFile | None
    ) -> dict[str, Any]:
        """Pseudo labels for the Mixers that want them, made by the stage's own job."""
        if not uses_labels(policy, mixer, bundle):
            return {}
        config = trial.settings.pseudo_labels
        if mixer is not None and mixer.cluster.labels == "true":
            return {"clustering": config.clustering}
        labels = self._clustered(trial).result.load("labels")[""].numpy()
        return {"pseudo_labels": pd.DataFrame({"pseudo_label": labels}), "clustering": config.clustering}

    def _clustered(self, trial: Trial) -> PseudoLabelsJob:
        inputs = {"config": trial.settings.pseudo_labels, "model": trial.settings.model}
        return self._job(make_pseudo_labels, PseudoLabelsJob, trial, "pseudo_labels", inputs)

    def _job(
        self,
        worker: Callable[[J, Accelerator], None],
        kind: type[J],
        trial: Trial,
        stage: str,
        inputs: dict[str, Any],
        sink: MetricSink | None = None,
    ) -> J:
        """Run, or find, one job of a stage."""
        inputs = {"card": self.card, "manifest": self.manifest, **inputs}
        fields = job_fields(stage, self.training, trial.seed, sink, **inputs)
        folder = f"trials/{stage}-{fields['fingerprint'][:16]}"
        job = kind(**fields, folder=folder, **inputs)
        if stage in _MEASURED and not job.timing_path().exists():
            job.result.path.unlink(missing_ok=True)  # without its cost a training is broken: again
        reset_peak_memory()
        run_job(worker, job)
        return job


def _cost_before(job: supervised.SupervisedJob | moco.MoCoJob) -> dict[str, float]:
    """What a Mixer's pre-training took."""
    return {"pretraining_seconds": _cost(job)["seconds_per_epoch"] * job.epochs}


def _top1(figure: dict[str, float]) -> dict[str, float]:
    return {"top1": figure["median"], "top1_last": figure["last"]}


def _cost(job: Job) -> dict[str, float]:
    """What the training took, as it was when it was done."""
    cost: dict[str, float] = read_json(job.timing_path())
    return cost
