"""Training under labels, through the jobs that the stages run."""

import math

import pytest
import torch
from accelerate import Accelerator

from helpers.stopped import Stop, Stopper, require_equal
from helpers.tiny_jobs import IMAGES, MODEL, SUPERVISED, digits, supervised_job
from samix.core.errors import ConfigError
from samix.data import Normalize
from samix.jobs import supervised
from samix.jobs.build import start_backbone
from samix.jobs.supervised import headline, pretrain_mixer, train_classifier, validation
from samix.mixup import SAMixP
from samix.training import run_job

pytestmark = pytest.mark.slow

POLICIES = ["none", "mixup", "cutmix", "samix", "samix_p"]


@pytest.fixture(scope="module")
def pretrained_mixer(tmp_path_factory):
    return run_job(pretrain_mixer, supervised_job(tmp_path_factory.mktemp("pretrained_mixer")))


@pytest.fixture(scope="module")
def results(tmp_path_factory, pretrained_mixer):
    """The trained classifiers by policy."""
    folder = tmp_path_factory.mktemp("policies")
    jobs = {
        name: supervised_job(
            folder / name, name, pretrained_mixer=pretrained_mixer if name == "samix_p" else None
        )
        for name in POLICIES
    }
    return {name: run_job(train_classifier, job) for name, job in jobs.items()}


HEADS = {
    "none": {"plain_q"},
    "mixup": {"mixed_q"},
    "cutmix": {"mixed_q"},
    "samix": {"plain_q", "mixed_q", "plain_k", "mixed_k"},
    "samix_p": {"plain_q", "mixed_q"},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_result_is_a_network_with_its_heads_that_has_moved(results, policy):
    result = results[policy]
    start = start_backbone(MODEL.backbone, seed=5)
    weights = result.load("backbone.")
    start.load_state_dict(weights)
    assert not torch.equal(
        weights["net.conv1.weight"], start_backbone(MODEL.backbone, seed=5).net.conv1.weight
    )
    heads = {head.split("_")[0] for head in HEADS[policy]}
    assert result.load("heads.").keys() == {f"{head}.{part}" for head in heads for part in ("weight", "bias")}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_head_is_judged_after_every_epoch(results, policy):
    """Four accuracies online: plain and mixed, of the online and of the momentum network."""
    about = results[policy].metadata
    keys = {f"val_top1_{head}" for head in HEADS[policy]}
    rows = [row for row in about["history"] if keys <= row.keys()]
    assert [row["step"] for row in rows] == [4, 8]
    assert all(0 <= row[key] <= 100 for row in rows for key in keys)
    assert {key for key in about["figures"] if "top1" in key} == keys
    want = {
        "none": "plain_q",
        "mixup": "mixed_q",
        "cutmix": "mixed_q",
        "samix": "mixed_k",
        "samix_p": "mixed_q",
    }
    assert about["headline"] == f"val_top1_{want[policy]}"


@pytest.mark.parametrize("policy", POLICIES)
def test_history_tells_what_the_policy_does(results, policy):
    last = results[policy].metadata["history"][-1]
    assert ("loss_plain" in last) == any("plain" in head for head in HEADS[policy])
    assert ("loss_mixed" in last) == (policy != "none")
    own = {"mask_error", "mask_variance", "mixer_local", "mixer_global", "lr/mixer"}
    assert (own <= last.keys()) == (policy == "samix")
    assert all(math.isfinite(value) for value in last.values())


def test_headline_prefers_the_momentum_network_and_the_mixed_head():
    keys = ["val_top1_plain_q", "val_top1_mixed_q", "val_top1_plain_k", "val_top1_mixed_k"]
    found = []
    while keys:
        found.append(headline(keys))
        keys.remove(found[-1])
    assert found == ["val_top1_mixed_k", "val_top1_plain_k", "val_top1_mixed_q", "val_top1_plain_q"]


def trained(job):
    """The learner at the end of the job's training."""
    learners = []

    def worker(job, accelerator):
        learners.append(supervised._train(job, accelerator)[0])

    run_job(worker, job)
    return learners[0]


def test_pretrained_mixer_is_the_momentum_network_with_the_mixer(pretrained_mixer, tmp_path):
    learner, policy = trained(supervised_job(tmp_path)), SAMixP.from_file(pretrained_mixer.path)
    pairs = (
        (policy.backbone, learner.momentum_classifier.backbone),
        (policy.mixer, learner.mixer_training.mixer),
    )
    for part, expected in pairs:
        for name, value in expected.state_dict().items():
            assert torch.equal(part.state_dict()[name], value), name
    assert policy.adjust == learner.policy.adjust and policy.adjust.lam_margin == 0.08
    own = learner.classifier.backbone.net.conv1.weight
    assert not torch.equal(policy.backbone.net.conv1.weight, own)


def test_pretrained_mixer_is_used_frozen(pretrained_mixer, tmp_path):
    learner = trained(supervised_job(tmp_path, "samix_p", pretrained_mixer=pretrained_mixer))
    before = SAMixP.from_file(pretrained_mixer.path).state_dict()
    for name, value in learner.policy.state_dict().items():
        if name not in ("scale", "shift"):
            assert torch.equal(before[name], value), name


def test_accuracies_by_counting(tmp_path):
    job = supervised_job(tmp_path)
    learner, store = supervised.build_supervised(job).eval(), job.images.open("test")
    normalize = Normalize.for_data(job.images.card)
    found = validation(learner, store, normalize)(learner, None)
    images = normalize(store.fetch(torch.arange(len(store))))
    networks = {"q": learner.classifier, "k": learner.momentum_classifier}
    for name, network in networks.items():
        for head in ("plain", "mixed"):
            logits = network.logits(network(images), head)
            right = sum(
                row.argmax().item() == label for row, label in zip(logits, store.labels.tolist(), strict=True)
            )
            assert found[f"val_top1_{head}_{name}"] == pytest.approx(100 * right / len(store), abs=0.2)


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_stopped_job_ends_where_it_would_have_ended(tmp_path, stop):
    """8 steps, checkpoints at 3 and 6, some of the Mixer's steps left out."""

    def end_of(folder, **options):
        states = []

        def worker(job, accelerator: Accelerator):
            _, history = supervised._train(job, accelerator)
            saved = torch.load(job.work_dir / "fit.checkpoint.pt", weights_only=True)
            states.append((saved["learner"], saved["optimizers"], history))

        run_job(worker, supervised_job(folder, mixer={"switch_off": 0.7}, **options))
        return states[0]

    expected = end_of(tmp_path / "one")
    with pytest.raises(Stop):
        end_of(tmp_path / "two", sink=Stopper(stop))
    for a, b, what in zip(
        end_of(tmp_path / "two"), expected, ("learner", "optimizers", "history"), strict=True
    ):
        require_equal(a, b, what)
    assert any("mixer_local" in row for row in expected[2])


def test_equal_seeds_give_equal_results(results, tmp_path):
    again = run_job(train_classifier, supervised_job(tmp_path, "mixup"))
    assert again.path.read_bytes() == results["mixup"].path.read_bytes()


def test_heads_and_host_options_reach_the_learner(tmp_path):
    options = {"heads": "shared", "label_smoothing": 0.1, "plain_mix": True, "no_repeat": True}
    learner = supervised.build_supervised(supervised_job(tmp_path, host=options))
    assert len(learner.classifier.heads) == 1 and learner.classifier.names == ["plain", "mixed"]
    assert learner.objective.smoothing == 0.1
    assert learner.config == SUPERVISED.model_copy(update=options)
    head = learner.classifier.heads["plain"]
    assert head.out_features == len(digits().card["classes"]) == 10
    other = supervised.build_supervised(supervised_job(tmp_path, "none"))
    assert torch.equal(
        learner.classifier.backbone.net.conv1.weight, other.classifier.backbone.net.conv1.weight
    )


def test_a_batch_larger_than_the_data_stops_the_job_before_it_reads_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr("samix.data.Images.open", None)
    job = supervised_job(tmp_path, host={"batch_size": 65})
    with pytest.raises(ConfigError, match=f"supervised.batch_size is 65, but there are {IMAGES} training"):
        run_job(train_classifier, job)


@pytest.mark.parametrize(
    ("mixer", "skips"), [({}, False), ({"interval": 2}, True), ({"switch_off": 0.5}, True)]
)
def test_a_mixer_that_rests_is_told_to_the_launcher(tmp_path, mixer, skips):
    assert supervised_job(tmp_path, mixer=mixer).skips_parameters == skips
    assert not supervised_job(tmp_path, "mixup").skips_parameters


@pytest.mark.slow
def test_two_ranks_get_to_the_end_though_the_mixer_rests(tmp_path, two_ranks):
    """Each mixes its own images at its own lam; a rank that left the Mixer out alone would wait for ever."""
    job = supervised_job(tmp_path, devices=2, mixer={"switch_off": 0.5})
    result = two_ranks.run_job(train_classifier, job)
    trained_in = ["mixer_local" in row for row in result.metadata["history"]]
    assert result.metadata["history"][-1]["step"] == 8
    assert any(trained_in) and not all(trained_in)
