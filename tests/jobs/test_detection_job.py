"""A detector trained, tested and resumed as a job, on a few composed scenes."""

import pytest
import torch

from helpers.tiny_jobs import images_of, on_backbone, shared
from samix.config.data import DataConfig
from samix.config.detection import DetectionConfig, DetectorConfig, SceneConfig
from samix.config.networks import BackboneConfig
from samix.config.training import OptimizerConfig
from samix.core.weights import save_weights
from samix.detection.evaluate import coco_metrics
from samix.detection.faster_rcnn_c4 import build_faster_rcnn_c4
from samix.detection.predict import predict
from samix.detection.provide import provide_scenes
from samix.jobs.build import prefixed, start_backbone
from samix.jobs.detection import SHOWN, DetectionJob, read_split, train_detector
from samix.training import run_job

pytestmark = pytest.mark.slow

BACKBONE = BackboneConfig(channels=(16, 16, 16, 16))
CONFIG = {
    "scenes": SceneConfig(train=8, test=10, size=64, objects=(1, 2), object_size=(20, 30)),
    "detector": DetectorConfig(min_size=(64,), max_size=64),
    "epochs": 3,
    "batch_size": 4,
    "optimizer": OptimizerConfig(lr=0.01),
}


@pytest.fixture(scope="module")
def digits():
    return images_of(DataConfig(source="digits", image_size=16))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return DetectionConfig(**CONFIG, root=tmp_path_factory.mktemp("scenes") / "composed")


@pytest.fixture(scope="module")
def scenes(digits, config):
    return provide_scenes(digits, config, seed=0)


@pytest.fixture
def job_of(digits, config, scenes):
    def job_of(folder, weights=None, **options):
        fields = on_backbone(shared(folder, **options)) | {"images": digits, "backbone": BACKBONE}
        return DetectionJob(**fields, scenes=scenes, weights=weights, config=config)

    return job_of


def test_result_is_a_detector_with_its_figures(tmp_path, job_of, scenes, digits, config):
    result = run_job(train_detector, job_of(tmp_path))
    about = result.metadata
    assert about["classes"] == sorted(about["classes"]) and set(about["classes"]) <= set(
        digits.card["classes"]
    )
    assert about["history"][-1]["step"] == 6
    assert {"loss", "loss_classifier", "loss_objectness"} <= about["history"][-1].keys()

    detector = build_faster_rcnn_c4(
        start_backbone(BACKBONE, seed=0),
        len(about["classes"]),
        config.detector,
        mean=digits.statistics[0],
        std=digits.statistics[1],
    )
    detector.load_state_dict(result.load())
    pictures = read_split(scenes, "test", about["classes"])
    found = predict(detector, pictures)
    assert about["metrics"] == pytest.approx(coco_metrics(found, pictures), abs=1e-6)
    assert set(about["metrics"]) == {"AP", "AP50", "AP75"}
    assert len(about["shown"]) == SHOWN < len(pictures)
    for shown, picture in zip(about["shown"], found, strict=False):
        assert torch.allclose(torch.tensor(shown["boxes"]).view(-1, 4), picture["boxes"], atol=1e-3)
        assert shown["labels"] == picture["labels"].tolist()


class Stop(Exception):
    pass


class Stopper:
    def __call__(self, metrics, step):
        if step == 5:
            raise Stop

    def flush(self):
        pass


def test_stopped_and_started_again_writes_the_same_bytes(tmp_path, job_of):
    """torchvision draws anchors and regions with the global generator: it has to be seeded by step."""
    whole = run_job(train_detector, job_of(tmp_path / "one"))
    with pytest.raises(Stop):
        run_job(train_detector, job_of(tmp_path / "two", sink=Stopper()))
    torch.rand(3)
    again = run_job(train_detector, job_of(tmp_path / "two"))
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_given_weights_are_where_the_detector_starts(tmp_path, job_of):
    path = tmp_path / "backbone.safetensors"
    runs = {}
    for seed in (5, 6):  # the run's own initial weights, then others
        backbone = start_backbone(BACKBONE, seed)
        weights = save_weights(path, prefixed(backbone, "backbone."), {"kind": "backbone"})
        runs[seed] = run_job(train_detector, job_of(tmp_path / str(seed), weights)).metadata["history"]
    scratch = run_job(train_detector, job_of(tmp_path / "scratch")).metadata["history"]
    assert runs[5] == scratch and runs[6] != scratch
