"""One trial of a comparison: the trainings that lead from settings and a seed to figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
from accelerate import Accelerator

from samix.config.mixing import PolicyConfig
from samix.config.training import TrainingConfig
from samix.config.trials import Host, TrialSettings
from samix.core.files import read_json
from samix.core.weights import WeightsFile
from samix.jobs import moco, supervised
from samix.jobs.build import job_fields
from samix.jobs.labels import uses_labels
from samix.jobs.linear import LinearJob, evaluate_linear
from samix.jobs.pseudo_labels import PseudoLabelsJob, make_pseudo_labels
from samix.training import Job, MetricSink, run_job

J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Trial:
    """What is trained: group and name of the variant, host, settings, seed."""

    group: str
    name: str
    host: Host
    settings: TrialSettings
    seed: int


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
        """Figures of one trial: top1 (%), seconds_per_epoch, peak_memory_mb, and more of the host's own."""
        return (self._supervised if trial.host == "sl" else self._self_supervised)(trial, sink)

    def _supervised(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        settings, policy = trial.settings, trial.settings.sl_training.policy
        mixer = settings.mixer_pretraining_sl
        shared = {"backbone": settings.model.backbone, "supervised": settings.supervised}
        bundle = None
        if policy.name == "samix_p":
            own = PolicyConfig(name="samix", alpha=mixer.alpha)
            inputs = {**shared, "epochs": mixer.epochs, "policy": own, "mixer": mixer}
            bundle = self._job(
                supervised.pretrain_mixer, supervised.SupervisedJob, trial, "mixer_pretraining_sl", inputs
            ).result
        inputs = {
            **shared,
            "epochs": settings.sl_training.epochs,
            "policy": policy,
            "mixer": mixer.model_copy(update={"alpha": policy.alpha}) if policy.name == "samix" else None,
            "bundle": bundle,
        }
        job = self._job(
            supervised.train_classifier, supervised.SupervisedJob, trial, "sl_training", inputs, sink
        )
        about = job.result.metadata
        accuracies = {key.removeprefix("val_"): figure["median"] for key, figure in about["figures"].items()}
        return {"top1": about["figures"][about["headline"]]["median"], **accuracies, **_cost(job)}

    def _self_supervised(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        settings, policy = trial.settings, trial.settings.ssl_training.policy
        mixer = settings.mixer_pretraining
        bundle = None
        if policy.name == "samix_p":
            own = PolicyConfig(name="samix", alpha=mixer.alpha)
            inputs = {
                "epochs": mixer.epochs,
                "policy": own,
                "mixer": mixer,
                **self._labels(trial, own, mixer, None),
            }
            bundle = self._moco(moco.pretrain_mixer, trial, "mixer_pretraining", inputs, None).result
        own_mixer = mixer.model_copy(update={"alpha": policy.alpha}) if policy.name == "samix" else None
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
        about = linear.result.metadata
        return {"top1": about["top1"]["median"], "knn_top1": about["knn_top1"], **_cost(encoder)}

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
        inputs = {"config": config, "model": trial.settings.model}
        job = self._job(make_pseudo_labels, PseudoLabelsJob, trial, "pseudo_labels", inputs)
        table = pd.DataFrame({"pseudo_label": job.result.load("labels")[""].numpy()})
        return {"pseudo_labels": table, "clustering": config.clustering}

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
        run_job(worker, job)
        return job


def _cost(job: Job) -> dict[str, float]:
    """What the training took, as it was when it was done."""
    cost: dict[str, float] = read_json(job.timing_path())
    return cost
