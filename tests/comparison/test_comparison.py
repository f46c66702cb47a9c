"""Trials of a comparison: settings that are changed, trainings that are shared, figures and costs."""

import pytest
import torch

from helpers.tiny_jobs import SETTINGS, digits
from samix.comparison import Comparison, Trial
from samix.core.errors import ConfigError
from samix.core.weights import WeightsFile

pytestmark = pytest.mark.slow


class Bench:
    """A comparison in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder / "trials"
        self.work_dir = {"training.work_dir": folder}

    def run(self, host, policy, seed=0, **changes):
        name = f"{host}_training.policy.name"
        settings = SETTINGS.changed({name: policy, **self.work_dir, **changes}, "test")
        trial = Trial(variant=policy, host=host, settings=settings, seed=seed, backbone="resnet18")
        return Comparison(digits()).run(trial, None)

    def stages(self):
        return sorted(path.name.rsplit("-", 1)[0] for path in self.folder.iterdir())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_changes_replace_values_and_keep_the_rest():
    changed = SETTINGS.changed(
        {"mixer_pretraining_sl.eta": 0.1, "sl_training.policy": {"name": "cutmix", "alpha": 0.2}}, "test"
    )
    assert changed.mixer_pretraining_sl.eta == 0.1
    assert (changed.sl_training.policy.name, changed.sl_training.policy.alpha) == ("cutmix", 0.2)
    assert changed.mixer_pretraining_sl.epochs == 1 and changed.model == SETTINGS.model
    assert SETTINGS.mixer_pretraining_sl.eta == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sl_trainin.epochs": 3}, "variant x: there is no parameter sl_trainin.epochs"),
        ({"sl_training.epoch": 3}, "variant x: sl_training.epoch"),
        ({"sl_training.epochs": 0}, "variant x: sl_training.epochs: .*greater than or equal to 1"),
        ({"sl_training.policy.name": "cutmixx"}, "variant x: sl_training.policy.name"),
        ({"model.moco.momentum": 0.9}, "variant x: model.moco.momentum: renamed to model.moco.ema"),
        ({"supervised.momentum.end": None}, "x: supervised.momentum.end: renamed to supervised.ema.end"),
    ],
)
def test_changes_that_cannot_be(changes, message):
    with pytest.raises(ConfigError, match=message):
        SETTINGS.changed(changes, "variant x")


def test_supervised_trials_share_the_mixer_and_are_done_once(bench):
    first = bench.run("sl", "samix_p")
    assert (
        0 <= first["top1"] <= 100
        and first["top1"] == first["top1_mixed_q"]
        and 0 <= first["top1_last"] <= 100
    )
    assert first["seconds_per_epoch"] > 0 and first["peak_memory_mb"] > 0
    assert first["pretraining_seconds"] > 0
    assert bench.stages() == ["mixer_pretraining_sl", "sl_training"]
    # the Mixer's alpha is its own: another one for the encoder takes the same Mixer
    bench.run("sl", "samix_p", **{"sl_training.policy.alpha": 1.0})
    assert bench.stages() == ["mixer_pretraining_sl", "sl_training", "sl_training"]
    assert bench.run("sl", "samix_p") == first  # times included: nothing ran
    bench.run("sl", "none", seed=1)
    assert bench.stages().count("sl_training") == 3


@pytest.mark.parametrize("broken", ["result.safetensors", "fit.timing.json"])
def test_a_broken_trial_is_done_again(bench, broken):
    first = bench.run("sl", "none")
    (folder,) = bench.folder.iterdir()
    result = folder / "result.safetensors"
    before, written = result.read_bytes(), result.stat().st_mtime_ns
    bench.run("sl", "none")
    assert result.stat().st_mtime_ns == written
    (folder / broken).unlink()
    again = bench.run("sl", "none")
    assert result.read_bytes() == before and result.stat().st_mtime_ns > written
    assert again["top1"] == first["top1"] and again["seconds_per_epoch"] > 0


def test_self_supervised_trials_make_the_labels_they_want(bench):
    fixed = {"mixer_pretraining.cluster.labels": "fixed"}
    found = bench.run("ssl", "samix", **fixed)
    assert {"top1", "knn_top1", "seconds_per_epoch"} <= found.keys()
    assert bench.stages() == ["linear_evaluation", "pseudo_labels", "ssl_training"]
    bench.run("ssl", "mixup")
    assert bench.stages().count("pseudo_labels") == 1
    true = {"mixer_pretraining.cluster.labels": "true"}
    bench.run("ssl", "samix", **true)
    assert bench.stages().count("pseudo_labels") == 1 and bench.stages().count("ssl_training") == 3


@pytest.mark.parametrize("host", ["sl", "ssl"])
def test_the_length_of_a_stage_that_is_not_run_changes_nothing(bench, host):
    stage = {"sl": "mixer_pretraining_sl", "ssl": "mixer_pretraining"}[host]
    other = {f"{stage}.epochs": 9, f"{stage}.alpha": 0.3}
    if host == "ssl":
        other["mixer_pretraining.start"] = "pseudo_labels"
    instance = {"mixer_pretraining.objective": "instance"}
    first = bench.run(host, "samix", **instance)
    assert bench.run(host, "samix", **instance, **other) == first  # times included
    assert bench.stages().count(f"{host}_training") == 1


def test_the_first_weights_of_a_pre_training_are_those_that_are_set(bench):
    instance = {"mixer_pretraining.objective": "instance"}
    for start in ("random", "pseudo_labels"):
        bench.run("ssl", "samix_p", **instance, **{"mixer_pretraining.start": start})
    names = ("mixer_pretraining", "mixer_pretraining", "pseudo_labels")
    assert bench.stages() == ["linear_evaluation"] * 2 + list(names) + ["ssl_training"] * 2
    results = bench.folder.glob("mixer_pretraining-*/result.safetensors")
    one, other = (WeightsFile(path).load("mixer.") for path in results)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_self_supervised_samix_p_trains_its_mixer(bench):
    bench.run("ssl", "samix_p", **{"mixer_pretraining.objective": "instance"})
    assert bench.stages() == ["linear_evaluation", "mixer_pretraining", "ssl_training"]
