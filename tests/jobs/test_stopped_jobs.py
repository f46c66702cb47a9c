"""A job that is stopped or killed, and then resumed, ends like an uninterrupted one."""

import signal

import pytest
import torch

from helpers.processes import run_helper
from helpers.stopped import Stop, Stopper, require_equal
from helpers.tiny_jobs import samix_job
from samix.clustering.memory import ODCMemory
from samix.config.mixing import ClusterConfig
from samix.data import TwoViewBatches
from samix.jobs import self_supervised
from samix.jobs.self_supervised import pretrain_mixer
from samix.methods.mixer_training import ClusterMixerTraining
from samix.training import run_job

pytestmark = pytest.mark.slow


def last_checkpoint(folder, **options):
    """The state at the end of a job whose result is not written."""
    states = []

    def worker(job, accelerator):
        _, history = self_supervised._train(job, accelerator)
        saved = torch.load(job.work_dir / "fit.checkpoint.pt", weights_only=True)
        states.append((saved["learner"], saved["optimizers"], history))

    run_job(worker, samix_job(folder, **options))
    return states[0]


RENEWED = {"cluster": ClusterConfig(kmeans_epochs=(1,))}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What jobs end with that nothing stops: one as it is, one whose clusters are renewed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return {
        "plain": last_checkpoint(folder / "plain"),
        "renewed": last_checkpoint(folder / "renewed", mixer=RENEWED),
    }


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_weights_optimisers_and_history_equal_those_of_an_uninterrupted_job(tmp_path, uninterrupted, stop):
    """8 steps, checkpoints at 3 and 6: stopped before the first, between them, right after one."""
    expected = uninterrupted["plain"]
    with pytest.raises(Stop):
        last_checkpoint(tmp_path / "two", sink=Stopper(stop))
    found = last_checkpoint(tmp_path / "two")
    for a, b, what in zip(found, expected, ("learner", "optimizers", "history"), strict=True):
        require_equal(a, b, what)
    learner, optimizers, history = expected
    assert {
        "method.queue.keys",
        "method.queue.index",
        "labels.memory.labels",
        "mixer_training.mixer.gamma",
        "mixer_training.head.weight",
    } <= learner.keys()
    assert len(optimizers) == 2 and len(history) > 3


@pytest.mark.parametrize(("checkpoint_every", "stop"), [(3, 4), (3, 5), (4, 4), (4, 6), (5, 7)])
def test_clusters_are_renewed_once_however_often_the_job_is_stopped(
    tmp_path, uninterrupted, checkpoint_every, stop
):
    """Epoch 1 begins at step 4: the checkpoint lies before it, right there, or behind it."""
    options = {"mixer": RENEWED, "checkpoint_every": checkpoint_every}
    expected = uninterrupted["renewed"]
    with pytest.raises(Stop):
        last_checkpoint(tmp_path / "two", sink=Stopper(stop), **options)
    found = last_checkpoint(tmp_path / "two", **options)
    for a, b, what in zip(found, expected, ("learner", "optimizers", "history"), strict=True):
        require_equal(a, b, what)


def test_renewed_clusters_come_from_the_keys_of_that_step(tmp_path, monkeypatch):
    """k-means on the momentum encoder's keys of all images, in eval mode, with a head that is reset."""
    seen = []

    def initialise(memory, features, seed):
        seen.append((features.clone(), seed))
        memory.load(features, torch.arange(64) % 4)

    heads = []
    reset = ClusterMixerTraining.reset_head

    def reset_head(training):
        reset(training)
        heads.append(training.head.weight.detach().clone())

    monkeypatch.setattr(ODCMemory, "initialise", initialise)
    monkeypatch.setattr(ClusterMixerTraining, "reset_head", reset_head)
    learner, _, history = last_checkpoint(tmp_path, mixer=RENEWED)
    assert len(seen) == 1 and len(history) == 8
    ((features, _),) = seen
    assert features.shape == (64, 8)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(64))
    assert len(heads) == 2 and not torch.equal(*heads)  # at the start and at epoch 1
    assert 0.005 < heads[1].std() < 0.02
    top1 = [row["head_top1"] for row in history]
    assert top1[4] < 0.6  # nothing is known of the new clusters


@pytest.fixture
def trained_steps(monkeypatch):
    """Trains the job in a folder and returns the steps that it took."""
    steps, load = [], TwoViewBatches.load
    monkeypatch.setattr(TwoViewBatches, "load", lambda self, ctx: steps.append(ctx.step) or load(self, ctx))

    def train(folder):
        steps.clear()
        run_job(pretrain_mixer, samix_job(folder))
        return list(steps)

    return train


@pytest.mark.slow
def test_a_killed_job_goes_on_and_writes_the_same_bytes(tmp_path, trained_steps):
    assert trained_steps(tmp_path / "one") == list(range(8))
    killed = run_helper("killed_job", tmp_path / "two", 4)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    folder = tmp_path / "two" / "tiny_jobs"
    assert [path.name for path in folder.iterdir()] == ["fit.checkpoint.pt"]
    assert trained_steps(tmp_path / "two") == list(range(3, 8))  # from the checkpoint after three steps
    assert {path.name for path in folder.iterdir()} == {"result.safetensors", "fit.timing.json"}
    result = (tmp_path / "one" / "tiny_jobs" / "result.safetensors").read_bytes()
    assert (folder / "result.safetensors").read_bytes() == result
    assert trained_steps(tmp_path / "two") == []  # and a finished one is not trained again


def test_a_finished_job_leaves_its_result_alone(tmp_path):
    result = run_job(pretrain_mixer, samix_job(tmp_path))
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {result.path, result.path.with_name("fit.timing.json")}
