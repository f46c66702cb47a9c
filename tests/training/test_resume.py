"""A stopped `fit` continues exactly from its last checkpoint."""

import logging

import pytest
import torch

from helpers.toys import PLAIN, Line, Notes, Numbers, toy_job, train
from samix.training import has_checkpoint

MOMENTUM = PLAIN.model_copy(update={"momentum": 0.9, "schedule": "cosine", "warmup": 0.2})


def state_of(learner, job):
    """Weights, and the optimiser's state as the last checkpoint has it."""
    saved = torch.load(job.work_dir / "fit.checkpoint.pt", weights_only=True)
    buffers = saved["optimizers"][0]["state"]
    return [*learner.state_dict().values(), *(buffers[i]["momentum_buffer"] for i in sorted(buffers))]


def validate(learner, ctx):
    return {"norm": float(learner.linear.weight.norm())}


def full(folder, **training):
    learner, job = Line(MOMENTUM, dropout=0.5), toy_job(folder, **training)
    return train(job, learner, on_epoch_end=validate), state_of(learner, job)


@pytest.mark.slow
@pytest.mark.parametrize("every", [3, 4, 5])
@pytest.mark.parametrize("fails_at", [2, 4, 8, 11])
def test_stopped_and_started_equals_uninterrupted(tmp_path, every, fails_at):
    """Before the first checkpoint, at and after an epoch's end, at the last step; with dropout."""
    training = {"checkpoint_every": every, "log_every": 2}
    history, state = full(tmp_path / "one", **training)
    job = toy_job(tmp_path / "two", **training)
    with pytest.raises(KeyboardInterrupt):
        train(job, Line(MOMENTUM, dropout=0.5), Numbers(fails_at), on_epoch_end=validate)
    learner, batches = Line(MOMENTUM, dropout=0.5), Numbers()
    assert train(job, learner, batches, on_epoch_end=validate) == history
    assert batches.loaded[0] == fails_at // every * every
    for value, expected in zip(state_of(learner, job), state, strict=True):
        assert torch.equal(value, expected)


def test_a_resumed_fit_gives_a_new_sink_the_whole_curve(tmp_path):
    whole, first, second = Notes(), Notes(), Notes()
    train(toy_job(tmp_path / "one", sink=whole, checkpoint_every=4), Line())
    with pytest.raises(KeyboardInterrupt):
        train(toy_job(tmp_path / "two", sink=first, checkpoint_every=4), Line(), Numbers(6))
    train(toy_job(tmp_path / "two", sink=second, checkpoint_every=4), Line())
    assert len(first.rows) == 6
    assert second.rows == whole.rows


def test_a_finished_fit_gives_its_history_without_training(tmp_path):
    history, _ = full(tmp_path)
    learner, batches = Line(MOMENTUM, dropout=0.5), Numbers()
    before = learner.linear.weight.detach().clone()
    assert train(toy_job(tmp_path), learner, batches, on_epoch_end=validate) == history
    assert batches.loaded == [] and not torch.equal(learner.linear.weight, before)


def test_a_checkpoint_of_another_job_is_left_alone(tmp_path):
    full(tmp_path)
    assert has_checkpoint(toy_job(tmp_path), "fit")
    other = toy_job(tmp_path, seed=4)
    assert not has_checkpoint(other, "fit") and not has_checkpoint(toy_job(tmp_path), "odc")
    batches = Numbers()
    train(other, Line(), batches)
    assert batches.loaded == list(range(12))
    assert has_checkpoint(other, "fit")


def cut(data):
    return data[: len(data) // 2]


def flip(data):
    return data[:200] + bytes(255 - b for b in data[200:260]) + data[260:]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip, lambda _: b"", lambda _: b"no checkpoint", lambda d: d[:10]])
def test_a_damaged_checkpoint_is_named_and_training_starts_anew(tmp_path, caplog, damage):
    history, _ = full(tmp_path)
    path = toy_job(tmp_path).work_dir / "fit.checkpoint.pt"
    path.write_bytes(damage(path.read_bytes()))
    batches = Numbers()
    with caplog.at_level(logging.WARNING):
        assert (
            train(toy_job(tmp_path), Line(MOMENTUM, dropout=0.5), batches, on_epoch_end=validate) == history
        )
    assert batches.loaded[0] == 0
    assert str(path) in caplog.text and "starts from the beginning" in caplog.text


@pytest.mark.parametrize("content", [{"fingerprint": "f"}, [1, 2], {"fingerprint": "f", "colour": 1}])
def test_a_checkpoint_of_another_form_is_not_taken(tmp_path, caplog, content):
    job = toy_job(tmp_path)
    job.work_dir.mkdir(parents=True)
    torch.save(content, job.work_dir / "fit.checkpoint.pt")
    assert not has_checkpoint(job, "fit")
    assert "starts from the beginning" in caplog.text


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_checkpoint_executes_nothing(tmp_path, capsys):
    job = toy_job(tmp_path)
    job.work_dir.mkdir(parents=True)
    torch.save({"fingerprint": "f", "step": Evil()}, job.work_dir / "fit.checkpoint.pt")
    assert not has_checkpoint(job, "fit")
    assert "executed" not in capsys.readouterr().out
