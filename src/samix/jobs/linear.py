"""Job of the stage linear_evaluation: evaluation protocols on one backbone's frozen features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from accelerate import Accelerator
from torch import Tensor

from samix.config.networks import BackboneConfig
from samix.config.stages import LinearEvaluationConfig
from samix.core.weights import WeightsFile
from samix.data import Images, ImageStore, Normalize
from samix.evaluation.features import extract_features
from samix.evaluation.protocol import EVALUATIONS, Frozen
from samix.jobs.build import start_backbone
from samix.jobs.checks import check_linear
from samix.nn import Backbone
from samix.training import Job, fit

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class LinearJob(Job):
    """weights: of the backbone, None for the untrained one."""

    images: Images
    backbone: BackboneConfig
    weights: WeightsFile | None
    config: LinearEvaluationConfig

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """The protocols."""
        return (EVALUATIONS[name] for name in self.protocols)

    @property
    def files(self) -> Iterable[Path]:
        """Pretrained weights of the backbone."""
        return self.backbone.files

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols, linear first."""
        return list(dict.fromkeys(("linear", *self.config.protocols)))


def evaluate_linear(job: LinearJob, accelerator: Accelerator) -> None:
    """Run the protocol linear and those of `config.protocols`.

    The result has the tensors that they return; metadata: `figures`, protocol -> name -> figure, and `about`
    of the protocols. Names of tensors and metadata of all protocols but linear follow "<protocol>.".
    """
    check_linear(job.config, job.images.count("train"))
    stores = {split: job.images.open(split) for split in ("train", "test")}
    stores = {split: store.to(accelerator.device) for split, store in stores.items()}
    backbone = start_backbone(job.backbone, job.seed, job.weights).to(accelerator.device)
    shared: dict[str, Any] = {
        "config": job.config,
        "card": job.images.card,
        "seed": job.seed,
        "backbone": backbone,
        "stores": stores,
        "features": {split: _features(job, backbone, store) for split, store in stores.items()},
        "labels": {split: store.labels.to(accelerator.device) for split, store in stores.items()},
    }
    found = {}
    for name in job.protocols:
        # the linear classifier is the job's own training, whose random stream is called "fit"
        stream = "fit" if name == "linear" else name
        train = partial(fit, job=job, accelerator=accelerator, name=stream)
        found[name] = EVALUATIONS[name](Frozen(**shared, fit=train))
    if accelerator.is_main_process:
        tensors = _merged({name: one.tensors for name, one in found.items()})
        about = _merged({name: one.about for name, one in found.items()})
        figures = {name: one.figures for name, one in found.items()}
        job.finish(tensors, {"kind": "linear", **about, "figures": figures})


def _merged(parts: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """One mapping of those of the protocols; keys of all but linear follow the name of the protocol."""
    return {
        key if name == "linear" else f"{name}.{key}": value
        for name, part in parts.items()
        for key, value in part.items()
    }


def _features(job: LinearJob, backbone: Backbone, store: ImageStore) -> Tensor:
    normalize = Normalize.for_data(job.images.card)
    return extract_features(
        backbone, lambda images: backbone(images).pooled, store, normalize, job.config.batch_size
    )
