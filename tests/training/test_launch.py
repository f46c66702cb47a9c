"""One process or two, and when a result is taken as it is."""

import pickle

import pytest
import torch

from helpers.fit_workers import refuse, train_line
from helpers.toys import toy_job
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError, TrainingError
from samix.training import launch, run_job
from samix.training.launch import _message, use_gpu


def result_of(worker, job):
    return {name: tensor.tolist() for name, tensor in run_job(worker, job).load().items()}


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    two = result_of(train_line, toy_job(tmp_path / "two", devices=2, checkpoint_every=5))
    one = result_of(train_line, toy_job(tmp_path / "one"))
    assert two["weights"][0] == two["weights"][1]
    assert torch.allclose(torch.tensor(two["weights"][0]), torch.tensor(one["weights"][0]), atol=1e-6)
    ranks, together = torch.tensor(two["seen"]), torch.tensor(one["seen"])[0]
    assert not torch.equal(ranks[0], ranks[1])
    assert torch.equal(torch.cat([ranks[0], ranks[1]], dim=1), together)
    assert two["threads"] == [1, 1]
    left = sorted(path.name for path in (tmp_path / "two").rglob("*") if path.is_file())
    assert left == ["fit.timing.json", "result.safetensors"]


@pytest.mark.slow
def test_a_failure_in_one_of_two_processes_is_one_clear_line(tmp_path):
    message = r"^process 1 of 2 failed: ConfigError: moco.queue \(7\) is too short.$"
    with pytest.raises(TrainingError, match=message):
        run_job(refuse, toy_job(tmp_path, devices=2))
    assert not list(tmp_path.rglob("result*"))


def test_a_single_process_raises_what_the_worker_raises(tmp_path):
    with pytest.raises(ConfigError, match=r"^moco.queue \(7\) is too short.$"):
        run_job(refuse, toy_job(tmp_path))


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"message": "ConfigError: no", "extraInfo": {"py_callstack": "..."}}, "ConfigError: no"),
        ("Signal 9 (SIGKILL) received by PID 7", "Signal 9 (SIGKILL) received by PID 7"),
    ],
)
def test_what_elastic_knows_of_a_failure(known, shown):
    assert _message(known) == shown


class Counter:
    """A worker that counts its calls and finishes with that number."""

    def __init__(self):
        self.calls = 0

    def __call__(self, job, accelerator):
        self.calls += 1
        job.finish({"calls": torch.tensor(self.calls)}, {"kind": "count"})


def test_a_result_is_reused_until_its_job_changes(tmp_path):
    worker, job = Counter(), toy_job(tmp_path)
    first = run_job(worker, job)
    assert first.path == tmp_path / "toy_job" / "result.safetensors"
    about = first.metadata
    assert (about["fingerprint"], about["kind"]) == (job.fingerprint, "count")
    assert about["made_with"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert about["made_with"]["threads"] == 1 and len(about["made_with"]["source"]) == 12
    assert run_job(worker, toy_job(tmp_path, threads=2)) == first and worker.calls == 1
    changed = run_job(worker, toy_job(tmp_path, seed=4))
    assert worker.calls == 2 and changed.load()["calls"] == 2
    run_job(worker, job)
    assert worker.calls == 3


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_damaged_result_is_made_anew(tmp_path, keep):
    worker, job = Counter(), toy_job(tmp_path)
    path = run_job(worker, job).path
    data = path.read_bytes()
    path.write_bytes(data[:keep])
    assert run_job(worker, job).load()["calls"] == 2
    assert path.stat().st_size == len(data)


def test_a_foreign_result_is_made_anew(tmp_path):
    from safetensors.torch import save_file

    worker, job = Counter(), toy_job(tmp_path)
    job.work_dir.mkdir(parents=True)
    save_file({"x": torch.zeros(1)}, job.result.path)
    assert run_job(worker, job).load()["calls"] == 1


def test_a_worker_that_fails_while_writing_leaves_no_result(tmp_path):
    def worker(job, accelerator):
        job.finish({"x": torch.zeros(1)}, {"not": object()})

    with pytest.raises(TypeError):
        run_job(worker, toy_job(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_finish_removes_checkpoints_and_what_a_killed_process_left(tmp_path):
    job = toy_job(tmp_path)
    job.work_dir.mkdir(parents=True)
    for name in ("fit.checkpoint.pt", ".odc.checkpoint.77.tmp.pt", ".result.77.tmp.safetensors", "notes.txt"):
        (job.work_dir / name).write_text("x")
    job.finish({"x": torch.zeros(1)}, {})
    assert {path.name for path in job.work_dir.iterdir()} == {"result.safetensors", "notes.txt"}


def test_equal_jobs_write_equal_bytes(tmp_path):
    for name in ("a", "b"):
        run_job(train_line, toy_job(tmp_path / name))
    first, second = (path.read_bytes() for path in sorted(tmp_path.rglob("result.safetensors")))
    assert first == second


def test_a_job_can_be_sent_to_another_process(tmp_path):
    job = toy_job(tmp_path)
    assert pickle.loads(pickle.dumps(job)) == job


def gpus(monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("there", "training", "message"),
    [
        (0, {"device": "gpu"}, "training.device is 'gpu', but torch sees no GPU"),
        (1, {"device": "gpu", "devices": 2}, "training.devices is 2, but there are 1 GPUs"),
        (1, {"device": "auto", "devices": 2}, "training.devices is 2, but there are 1 GPUs"),
    ],
)
def test_gpus_that_are_not_there_stop_before_the_worker_starts(
    tmp_path, monkeypatch, there, training, message
):
    gpus(monkeypatch, there)
    worker = Counter()
    with pytest.raises(ConfigError, match=message):
        launch(worker, toy_job(tmp_path), TrainingConfig(work_dir=tmp_path, **training))
    assert worker.calls == 0


@pytest.mark.parametrize(
    ("there", "device", "used"), [(0, "auto", 0), (1, "auto", 1), (1, "cpu", 0), (1, "gpu", 1)]
)
def test_a_gpu_is_used_where_it_may_be(tmp_path, monkeypatch, there, device, used):
    gpus(monkeypatch, there)
    assert use_gpu(TrainingConfig(work_dir=tmp_path, device=device)) == bool(used)


def test_stages_of_one_process_may_differ_in_precision(tmp_path):
    found = []
    for precision in ("bf16", "no", "bf16"):
        job = toy_job(tmp_path, precision=precision)
        launch(lambda job, accelerator: found.append(accelerator.mixed_precision), job, job.training)
    assert found == ["bf16", "no", "bf16"]
