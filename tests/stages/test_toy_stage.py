"""A stage that is declared once appears in the Kedro pipeline and in the comparison."""

from dataclasses import dataclass, replace

import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from helpers.tiny_jobs import SETTINGS, digits
from samix.comparison import Comparison, Trial
from samix.config.stages import LinearEvaluationConfig
from samix.core.weights import WeightsFile, save_weights
from samix.kedro.parameters import declared_types
from samix.kedro.pipelines.chains import Selection, _chain
from samix.kedro.pipelines.declared import CARD, MANIFEST, stage_pipeline
from samix.stages import CHAINS, SSL, Stage, Step, Task
from samix.stages.stage import always
from samix.training import Job

BACKBONE = "ssl_training.backbone_weights"


@dataclass(frozen=True, kw_only=True)
class Norm(Job):
    """The norm of the first convolution's weights, times a factor."""

    weights: WeightsFile
    factor: int


def measure(job, accelerator):
    norm = job.weights.load("backbone.")["net.conv1.weight"].norm()
    job.finish({"norm": norm}, {"norm": job.factor * float(norm)})


def job_of(settings, images, upstream, seed):
    factor = settings.linear_evaluation.epochs
    fields = {"label": "toy", "seed": seed, "training": settings.training}
    return measure, Norm(**fields, weights=upstream[BACKBONE], factor=factor)


def figures(result):
    return {"toy.norm": result.metadata["norm"]}


TOY = Stage(
    "toy",
    sections=("linear_evaluation", "training"),
    tasks=(Task("measure", "norm_weights", "toy", job_of, needs={BACKBONE: always}),),
    steps=(Step("score", figures, ("norm_weights",), ("metrics",)),),
    figures=figures,
)
CHAIN = replace(SSL, stages=(*SSL.stages, TOY))


def test_the_kedro_pipeline_has_it_with_its_inputs_and_types():
    pipeline = _chain(CHAIN, "reporting")
    own = {node.name: node for node in pipeline.nodes if node.namespace == "toy"}
    assert set(own) == {"toy.measure", "toy.score"}
    parameters = {"params:linear_evaluation", "params:training", "params:seed"}
    assert set(own["toy.measure"].inputs) == {CARD, MANIFEST, BACKBONE, *parameters}
    assert declared_types([stage_pipeline(TOY)])["linear_evaluation"] is LinearEvaluationConfig
    report = next(node for node in pipeline.nodes if node.name == "reporting.summarise")
    assert "toy.metrics" in report.inputs
    settings = SETTINGS.changed({"ssl_training.policy.name": "none"}, "test")
    assert "toy.measure" in {node.name for node in pipeline.build(Selection(settings)).nodes}


@pytest.fixture
def settings(tmp_path):
    changes = {"ssl_training.policy.name": "none", "training.work_dir": tmp_path}
    return SETTINGS.changed(changes, "test")


@pytest.mark.slow
def test_both_train_it_and_agree(settings, monkeypatch):
    monkeypatch.setitem(CHAINS, "ssl", CHAIN)
    trial = Trial(variant="none", host="ssl", settings=settings, seed=0, backbone="resnet18")
    found = Comparison(digits()).run(trial, None)
    (backbone,) = (settings.training.work_dir / "trials").glob("ssl_training-*/result.safetensors")
    norm = float(WeightsFile(backbone).load("backbone.")["net.conv1.weight"].double().norm())
    assert found["norm"] == pytest.approx(settings.linear_evaluation.epochs * norm, rel=1e-5)
    assert {"top1", "knn_top1", "seconds_per_epoch"} <= found.keys()

    inputs = {CARD: digits().card, MANIFEST: digits().manifest, BACKBONE: WeightsFile(backbone)}
    parameters = {f"params:{section}": getattr(settings, section) for section in TOY.sections}
    data = {**inputs, **parameters, "params:seed": 0}
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in data.items()})
    outputs = SequentialRunner().run(stage_pipeline(TOY), catalog)
    assert outputs["toy.metrics"].load() == {"toy.norm": found["norm"]}


def test_its_fingerprint_follows_its_own_fields_and_results(settings, tmp_path):
    def fingerprint(value=1.0, **changes):
        tensors = {"backbone.net.conv1.weight": torch.full((2,), value)}
        file = save_weights(tmp_path / "b.safetensors", tensors, {})
        return job_of(settings.changed(changes, "test"), digits(), {BACKBONE: file}, 0)[1].fingerprint

    first = fingerprint()
    elsewhere = {"model.moco.queue": 16, "ssl_training.epochs": 9, "training.threads": 3}
    assert first == fingerprint(**elsewhere)
    assert first != fingerprint(2.0)
    assert first != fingerprint(**{"linear_evaluation.epochs": 7})
    assert first != fingerprint(**{"training.devices": 2})
