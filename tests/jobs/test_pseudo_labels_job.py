"""Pseudo labels from each kind of encoder, and their resume."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from helpers.tiny_jobs import IMAGES, MODEL, digits, shared
from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.config.stages import PseudoLabelsConfig
from samix.config.training import OptimizerConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import WeightsFile, save_weights
from samix.jobs import pseudo_labels
from samix.jobs.build import prefixed, start_backbone
from samix.jobs.pseudo_labels import PseudoLabelsJob, agreement, make_pseudo_labels
from samix.nn import build_backbone
from samix.training import run_job

pytestmark = pytest.mark.slow

CLUSTERS = 4


def labels_job(folder, init="random", clusters=CLUSTERS, **options):
    config = PseudoLabelsConfig(
        init=init,
        init_epochs=1,
        epochs=2,
        batch_size=16,
        clustering=ClusteringConfig(clusters=clusters, faiss_device="cpu"),
        optimizer=OptimizerConfig(lr=0.02, schedule="constant"),
    )
    return PseudoLabelsJob(**shared(folder, **options), config=config)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    jobs = {
        "random": labels_job(folder / "random"),
        "moco": labels_job(folder / "moco", "moco"),
    }
    return {name: run_job(make_pseudo_labels, job) for name, job in jobs.items()}


@pytest.mark.parametrize("init", ["random", "moco"])
def test_result_holds_labels_centroids_and_the_encoder(results, init):
    result = results[init]
    labels, centroids = result.load("labels")[""], result.load("centroids")[""]
    assert labels.shape == (IMAGES,) and centroids.shape == (CLUSTERS, 8)
    assert labels.bincount(minlength=CLUSTERS).min() >= 2 and len(labels.bincount()) == CLUSTERS
    backbone = build_backbone(MODEL.backbone)
    backbone.load_state_dict(result.load("backbone."))
    assert result.load("projector.")
    assert result.metadata["kind"] == "backbone"


@pytest.mark.parametrize("init", ["random", "moco"])
def test_history_ends_with_the_agreement_of_the_labels_of_the_result(results, init):
    history, labels = results[init].metadata["history"], results[init].load("labels")[""]
    true = digits().open("train").labels
    last = history[-1]
    assert last["step"] == 8 and [row["step"] for row in history if "nmi" in row] == [4, 8]
    assert last["nmi"] == pytest.approx(normalized_mutual_info_score(true, labels), abs=1e-6)
    assert last["ari"] == pytest.approx(adjusted_rand_score(true, labels), abs=1e-6)
    share = sum(true[labels == c].bincount().max().item() for c in range(CLUSTERS)) / IMAGES
    assert last["purity"] == pytest.approx(share)
    assert {"change_ratio", "cluster_min", "cluster_empty", "loss"} <= last.keys()


def test_each_start_gives_its_own_encoder(results):
    first, second = (result.load("backbone.")["net.conv1.weight"] for result in results.values())
    assert not torch.equal(first, second)


class Stop(Exception):
    pass


class Stopper:
    """A sink that stops one of the two fits of the job at a step of it."""

    def __init__(self, fit, step):
        self.fit, self.step = fit, step

    def __call__(self, metrics, step):
        if step == self.step and f"{self.fit}/loss" in metrics:
            raise Stop

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("fit", "stop", "kmeans"), [("init", 2, 1), ("init", 4, 1), ("odc", 2, 2), ("odc", 5, 1)]
)
def test_stopped_and_started_again_writes_the_same_bytes(tmp_path, monkeypatch, results, fit, stop, kmeans):
    """Stopped in MoCo, at its end, in ODC before its first checkpoint, and after it."""
    calls, initialise = [], ODCMemory.initialise

    def counted(self, features, seed):
        calls.append(seed)
        initialise(self, features, seed)

    monkeypatch.setattr(ODCMemory, "initialise", counted)
    with pytest.raises(Stop):
        run_job(make_pseudo_labels, labels_job(tmp_path, "moco", sink=Stopper(fit, stop)))
    fits, own_fit = [], pseudo_labels.fit
    monkeypatch.setattr(pseudo_labels, "fit", lambda *a, **o: (fits.append(o["name"]), own_fit(*a, **o))[1])
    again = run_job(make_pseudo_labels, labels_job(tmp_path, "moco"))
    assert again.path.read_bytes() == results["moco"].path.read_bytes()
    assert len(calls) == kmeans  # a restored memory does not see k-means again
    assert fits == (["odc"] if (fit, stop) == ("odc", 5) else ["init", "odc"])
    left = {path.name for path in again.path.parent.iterdir()}
    assert left == {"result.safetensors", "init.timing.json", "odc.timing.json"}


def test_agreement_is_one_for_renamed_labels():
    true = torch.arange(20) % 4
    assert agreement((true + 1) % 4, true) == pytest.approx({"nmi": 1, "ari": 1, "purity": 1})


def test_clusters_that_the_images_cannot_fill_stop_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setattr("samix.data.Images.open", None)
    with pytest.raises(
        ConfigError, match="clusters: 40 of min_cluster: 2 members need more than the 64 images"
    ):
        run_job(make_pseudo_labels, labels_job(tmp_path, "moco", clusters=40))


def test_weights_of_another_backbone_are_named(tmp_path):
    path = tmp_path / "other.safetensors"
    other = build_backbone(MODEL.backbone.model_copy(update={"channels": (4, 4, 8, 16)}))
    save_weights(path, prefixed(other, "backbone."), {})
    with pytest.raises(DataError, match="other.safetensors holds the weights of another backbone"):
        start_backbone(MODEL.backbone, seed=0, weights=WeightsFile(path))
