"""MoCo with SAMix-C on two gloo processes."""

import pytest
import torch

from helpers.job_ranks import train_and_tell
from helpers.tiny_jobs import MODEL, samix_job
from samix.config.mixing import ClusterConfig
from samix.jobs.build import start_backbone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def job(tmp_path_factory, two_ranks):
    job = samix_job(tmp_path_factory.mktemp("two"), devices=2)
    two_ranks.run_job(train_and_tell, job)
    return job


@pytest.fixture(scope="module")
def ranks(job):
    return torch.load(job.work_dir / "ranks.pt", weights_only=True)


def test_ranks_share_each_epoch_and_see_their_own_views(ranks):
    steps = ranks["index"].view(2, 2, 4, 8)  # rank, epoch, step, image
    for epoch in steps.transpose(0, 1):
        assert sorted(epoch.flatten().tolist()) == list(range(64))
    assert not torch.equal(ranks["views"][0], ranks["views"][1])


def test_all_ranks_end_with_the_same_parameters_and_queue(ranks):
    for name, both in ranks["parameters"].items():
        assert torch.equal(both[0], both[1]), name
    assert torch.equal(ranks["queue"][0], ranks["queue"][1])
    assert {
        "method.encoder.projector.0.weight",
        "policy.mixer.query.weight",
        "mixer_training.head.weight",
    } <= ranks["parameters"].keys()


def test_weights_come_back_through_the_file(job, ranks):
    found = job.result.load("backbone.")
    for name, value in found.items():
        if f"encoder.backbone.{name}" in ranks["parameters"]:
            assert torch.equal(value, ranks["parameters"][f"encoder.backbone.{name}"][0])
    assert not torch.equal(found["net.conv1.weight"], start_backbone(MODEL.backbone, seed=5).net.conv1.weight)
    assert job.result.metadata["history"][-1]["step"] == 8
    assert {path.name for path in job.work_dir.iterdir()} == {
        "result.safetensors",
        "ranks.pt",
        "fit.timing.json",
    }


def test_clusters_that_are_renewed_and_a_mixer_that_rests_are_equal_on_the_ranks(tmp_path, two_ranks):
    """Rank 0's k-means counts, and all ranks leave the Mixer out of the same steps."""
    mixer = {"cluster": ClusterConfig(kmeans_epochs=(1,)), "switch_off": 0.5}
    job = samix_job(tmp_path, devices=2, mixer=mixer)
    two_ranks.run_job(train_and_tell, job)
    ranks = torch.load(job.work_dir / "ranks.pt", weights_only=True)
    for name, both in (ranks["parameters"] | ranks["labels"]).items():
        assert torch.equal(both[0], both[1]), name
    assert {"memory.labels", "memory.centroids"} <= ranks["labels"].keys()
    trained = ["mixer_local" in row for row in job.result.metadata["history"]]
    assert any(trained) and not all(trained)
