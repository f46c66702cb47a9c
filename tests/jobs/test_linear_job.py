"""The linear evaluation as a job."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier

from helpers.tiny_jobs import IMAGES, MODEL, digits, on_backbone, shared
from samix.config import registry
from samix.config.stages import LinearEvaluationConfig
from samix.config.training import OptimizerConfig
from samix.core.errors import ConfigError
from samix.core.weights import save_weights
from samix.data import LabelledBatches, Normalize
from samix.evaluation.protocol import Evaluated
from samix.jobs.build import prefixed, start_backbone
from samix.jobs.linear import LinearJob, evaluate_linear
from samix.training import run_job

pytestmark = pytest.mark.slow

EPOCHS = 12


def linear_job(folder, augmentation="none", weights=None, **config):
    settings = {"batch_size": 16, "knn_neighbours": 5, "epochs": EPOCHS, **config}
    return LinearJob(
        **on_backbone(shared(folder)),
        weights=weights,
        config=LinearEvaluationConfig(
            augmentation=augmentation,
            optimizer=OptimizerConfig(lr=1.0, weight_decay=0.0, schedule="multistep"),
            **settings,
        ),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    return {kind: run_job(evaluate_linear, linear_job(folder / kind, kind)) for kind in ("none", "crop_flip")}


def features_of(split):
    """Features by a plain forward of the untrained backbone, with the labels."""
    card = digits().card
    store = digits().open(split)
    images = Normalize(card["mean"], card["std"])(store.fetch(torch.arange(len(store))))
    with torch.no_grad():
        return start_backbone(MODEL.backbone, seed=5).eval()(images).pooled, store.labels


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_figures_are_those_of_the_head_of_the_result(results, augmentation):
    about, head = results[augmentation].metadata, results[augmentation].load("head.")
    features, labels = features_of("test")
    logits = features @ head["weight"].T + head["bias"]
    top1 = 100 * (logits.argmax(1) == labels).double().mean().item()
    in_five = (logits.topk(5, dim=1).indices == labels[:, None]).any(1)
    figures = about["figures"]["linear"]
    assert figures["top1_last"] == pytest.approx(top1, abs=1e-3)
    assert about["history"][-1]["val_top5"] == pytest.approx(100 * in_five.double().mean().item(), abs=1e-3)
    assert about["confusion"] == confusion_matrix(labels, logits.argmax(1), labels=range(10)).tolist()
    curve = [row["val_top1"] for row in about["history"] if "val_top1" in row]
    assert len(curve) == EPOCHS
    assert figures["top1_last"] == curve[-1] and figures["top1"] == pytest.approx(np.median(curve[-10:]))
    fives = [row["val_top5"] for row in about["history"] if "val_top5" in row]
    assert figures["top5"] == pytest.approx(np.median(fives[-10:]))
    assert about["kind"] == "linear" and set(head) == {"weight", "bias"}


def test_knn_is_that_of_the_features(results):
    (train, labels), (test, true) = features_of("train"), features_of("test")

    def weights(distances):  # Euclidean distances of unit vectors to votes
        return np.exp((1 - distances**2 / 2) / 0.07)

    reference = KNeighborsClassifier(5, weights=weights, algorithm="brute")
    reference.fit(train / train.norm(dim=1, keepdim=True), labels)
    score = reference.score(test / test.norm(dim=1, keepdim=True), true)
    for result in results.values():
        assert result.metadata["figures"]["knn"] == {"top1": pytest.approx(100 * score, abs=1e-3)}
    assert score > 0.2


def test_training_helps(results):
    history = results["none"].metadata["history"]
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert results["none"].metadata["figures"]["linear"]["top1_last"] > 25


def test_augmented_images_give_other_features_every_epoch(results):
    none, crops = results["none"].load("head."), results["crop_flip"].load("head.")
    assert not torch.equal(none["weight"], crops["weight"])


def test_cached_features_equal_those_from_images(tmp_path, monkeypatch, results):
    """The same un-augmented images through the frozen backbone at every step."""

    def batches(frozen):
        assert frozen.config.augmentation == "crop_flip"
        normalize = Normalize(frozen.card["mean"], frozen.card["std"])
        size = frozen.config.batch_size
        return LabelledBatches(frozen.stores["train"], lambda x, _: normalize(x), size, frozen.seed)

    monkeypatch.setattr("samix.evaluation.probe._batches", batches)
    found = run_job(evaluate_linear, linear_job(tmp_path, "crop_flip")).load("head.")
    for name, value in results["none"].load("head.").items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3)


def test_given_weights_are_those_that_are_probed(tmp_path, results):
    path = tmp_path / "backbone.safetensors"
    for seed in (5, 6):  # the run's own initial weights, then others
        backbone = start_backbone(MODEL.backbone, seed=seed)
        weights = save_weights(path, prefixed(backbone, "backbone."), {"kind": "backbone"})
        found = run_job(evaluate_linear, linear_job(tmp_path / str(seed), weights=weights))
        same = found.metadata["history"] == results["none"].metadata["history"]
        assert same == (seed == 5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"knn_neighbours": 65}, "linear_evaluation.knn_neighbours is 65, but there are 64 training images"),
        ({"batch_size": 100}, "linear_evaluation.batch_size is 100, but there are 64 training images"),
    ],
)
def test_sizes_beyond_the_data_stop_before_an_image_is_read(tmp_path, monkeypatch, config, message):
    assert IMAGES == 64
    monkeypatch.setattr("samix.data.Images.open", None)
    with pytest.raises(ConfigError, match=message):
        run_job(evaluate_linear, linear_job(tmp_path, **config))


def test_protocols_are_those_of_the_configuration(tmp_path):
    result = run_job(evaluate_linear, linear_job(tmp_path, protocols=(), epochs=1))
    assert result.metadata["figures"].keys() == {"linear"}


def one(frozen, value=1.0):
    """Returns what the linear protocol does, with other values."""
    tensors = {"head.weight": torch.full((2,), value)}
    about = {"history": [value], "confusion": value, "kind": "another"}
    return Evaluated({"top1": 100 * value / frozen.classes}, tensors, about)


def two(frozen):
    return one(frozen, 2.0)


def test_protocols_do_not_overwrite_the_results_of_each_other(tmp_path, monkeypatch):
    for name in ("one", "two"):
        monkeypatch.setitem(registry.EVALUATIONS, name, f"{__name__}:{name}")
    result = run_job(evaluate_linear, linear_job(tmp_path, protocols=("one", "two"), epochs=1))
    alone = run_job(evaluate_linear, linear_job(tmp_path / "alone", protocols=(), epochs=1))
    about, own = dict(result.metadata), alone.metadata
    assert about["figures"] == {**own["figures"], "one": {"top1": 10.0}, "two": {"top1": 20.0}}
    assert about["history"] == own["history"] and about["confusion"] == own["confusion"]
    assert about["kind"] == own["kind"] == "linear"
    for name, value in (("one", 1.0), ("two", 2.0)):
        assert about[f"{name}.history"] == [value] and about[f"{name}.confusion"] == value
        assert result.load(f"{name}.head.")["weight"].tolist() == [value] * 2
    for name, tensor in alone.load("head.").items():
        assert torch.equal(result.load("head.")[name], tensor)
