"""MoCo with every policy, through the jobs that the stages run."""

import pytest
import torch
from accelerate import Accelerator

from helpers.tiny_jobs import IMAGES, MODEL, digits, pseudo_labels, samix_job, shared
from samix.config.mixing import ClusterConfig, PolicyConfig
from samix.core.errors import ConfigError, DataError
from samix.data import Normalize
from samix.jobs import self_supervised
from samix.jobs.build import start_backbone, start_encoder
from samix.jobs.self_supervised import SelfSupervisedJob, pretrain_mixer, train_encoder
from samix.methods.labels import OnlineLabels
from samix.methods.mixer_training import MixerTraining
from samix.mixup import SAMixP
from samix.nn import build_backbone
from samix.training import run_job

pytestmark = pytest.mark.slow


def plain_job(folder, policy, **options):
    pretrained_mixer = options.pop("pretrained_mixer", None)
    return SelfSupervisedJob(
        **shared(folder, **options),
        epochs=1,
        policy=PolicyConfig(name=policy),
        mixer=None,
        pretrained_mixer=pretrained_mixer,
    )


@pytest.fixture(scope="module")
def pretrained_mixer(tmp_path_factory):
    return run_job(pretrain_mixer, samix_job(tmp_path_factory.mktemp("pretrained_mixer")))


@pytest.fixture(scope="module")
def results(tmp_path_factory, pretrained_mixer):
    """The trained backbones by policy."""
    folder = tmp_path_factory.mktemp("policies")
    jobs = {name: plain_job(folder / name, name) for name in ("none", "mixup", "cutmix")}
    jobs["samix_p"] = plain_job(folder / "samix_p", "samix_p", pretrained_mixer=pretrained_mixer)
    jobs["samix cluster"] = samix_job(folder / "cluster", epochs=1)
    jobs["samix instance"] = samix_job(folder / "instance", "instance", epochs=1)
    return {name: run_job(train_encoder, job) for name, job in jobs.items()}


POLICIES = ["none", "mixup", "cutmix", "samix_p", "samix cluster", "samix instance"]


@pytest.mark.parametrize("policy", POLICIES)
def test_result_is_a_backbone_that_has_moved(results, policy):
    result = results[policy]
    backbone = build_backbone(MODEL.backbone)
    backbone.load_state_dict(result.load("backbone."))
    start = start_backbone(MODEL.backbone, seed=5)
    assert not torch.equal(backbone.net.conv1.weight, start.net.conv1.weight)
    assert result.metadata["kind"] == "backbone"
    own = {"pretrained", "pretrained_file"}  # where weights came from is nothing that they depend on
    assert result.metadata["backbone"] == MODEL.backbone.model_dump(mode="json", exclude=own)


@pytest.mark.parametrize("policy", POLICIES)
def test_history_tells_what_the_policy_does(results, policy):
    last = results[policy].metadata["history"][-1]
    assert last["step"] == IMAGES // 16 and last["epoch"] == 1
    assert {"loss", "loss_ssl", "queue_top1", "lr/encoder"} <= last.keys()
    assert ("loss_mixed" in last) == (policy != "none")
    online = policy.startswith("samix ")
    assert (
        {"mask_error", "mask_variance", "mixer_local", "mixer_global", "lr/mixer"} <= last.keys()
    ) == online
    assert ("head_loss" in last) == (policy == "samix cluster")


def test_policies_start_alike_and_end_apart(results):
    weights = [result.load("backbone.")["net.conv1.weight"] for result in results.values()]
    for i, one in enumerate(weights):
        assert not any(torch.equal(one, other) for other in weights[:i])
    first = {name: result.metadata["history"][0]["loss_ssl"] for name, result in results.items()}
    assert len({first[name] for name in ("none", "mixup", "cutmix", "samix_p")}) == 1
    # online, the momentum encoder's BatchNorm sees both views together
    assert first["samix cluster"] == first["samix instance"] == pytest.approx(first["none"], rel=0.1)


def learner_of(job):
    """The learner at the end of the job's training."""
    learners = []

    def worker(job, accelerator):
        learners.append(self_supervised._train(job, accelerator)[0])

    run_job(worker, job)
    return learners[0]


def test_pretrained_mixer_is_the_momentum_encoder_with_the_mixer(pretrained_mixer, tmp_path):
    assert pretrained_mixer.metadata["kind"] == "samix_p"
    assert "mask_error" in pretrained_mixer.metadata["history"][-1]
    learner, policy = learner_of(samix_job(tmp_path)), SAMixP.from_file(pretrained_mixer.path)
    pairs = (
        (policy.backbone, learner.method.momentum_encoder.backbone),
        (policy.mixer, learner.mixer_training.mixer),
    )
    for part, expected in pairs:
        for name, value in expected.state_dict().items():
            assert torch.equal(part.state_dict()[name], value), name
    own = learner.method.encoder.backbone.net.conv1.weight
    assert not torch.equal(policy.backbone.net.conv1.weight, own)


def test_pretrained_mixer_is_used_frozen(pretrained_mixer, tmp_path):
    learner = learner_of(plain_job(tmp_path, "samix_p", pretrained_mixer=pretrained_mixer))
    for name, value in SAMixP.from_file(pretrained_mixer.path).state_dict().items():
        if name not in ("scale", "shift"):
            assert torch.equal(learner.policy.state_dict()[name], value), name


SOURCES = {
    "online": {},
    "fixed": {"cluster": ClusterConfig(labels="fixed")},
    "true": {"cluster": ClusterConfig(labels="true")},
    "projection": {"cluster": ClusterConfig(features="projection", start_epoch=1)},
    "encoder": {"cluster": ClusterConfig(train_encoder=True)},
}


@pytest.fixture(scope="module")
def by_source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    jobs = {name: samix_job(folder / name, mixer=mixer) for name, mixer in SOURCES.items()}
    return {name: learner_of(job) for name, job in jobs.items()}


def test_labels_are_those_that_were_asked_for(by_source):
    given = torch.tensor(pseudo_labels()["pseudo_label"].to_numpy())
    rows = digits().manifest
    true = torch.tensor(rows.loc[rows["split"] == "train", "label"].to_numpy())
    assert isinstance(by_source["online"].labels, OnlineLabels)
    assert not torch.equal(by_source["online"].labels.labels, given)
    assert torch.equal(by_source["fixed"].labels.labels, given)
    assert torch.equal(by_source["true"].labels.labels, true)
    heads = {name: learner.mixer_training.head for name, learner in by_source.items()}
    assert [heads[name].out_features for name in SOURCES] == [4, 4, 10, 4, 4]
    assert [heads[name].in_features for name in SOURCES] == [8, 8, 8, 8, 8]  # pooled 8, projected 8 as well


def test_online_labels_start_with_the_keys_of_the_first_encoder(tmp_path):
    """Of the images as they are, with the pseudo labels of the stage before."""
    job = samix_job(tmp_path)
    store = job.images.open("train")
    encoder = start_encoder(job.model, job.seed)
    learner = self_supervised._learner(job, store, Accelerator(cpu=True))
    images = Normalize.for_data(job.images.card)(store.fetch(torch.arange(7)))
    keys = encoder.eval()(images).embedding
    torch.testing.assert_close(learner.labels.memory.features[:7], keys, atol=1e-5, rtol=1e-5)
    given = torch.tensor(job.pseudo_labels["pseudo_label"].to_numpy())
    assert torch.equal(learner.labels.labels, given)
    assert learner.method.encoder.training


def test_filtered_negatives_need_labels_without_a_cluster_head(tmp_path):
    learner = learner_of(samix_job(tmp_path, "instance", epochs=1, mixer={"filter_negatives": True}))
    assert isinstance(learner.labels, OnlineLabels)
    assert isinstance(learner.mixer_training, MixerTraining)
    assert sorted(learner.method.queue.index.tolist()) == sorted(set(learner.method.queue.index.tolist()))
    assert learner.method.queue.index.min() >= 0  # two batches of other images each: the queue is full


@pytest.mark.parametrize(
    ("mixer", "skips"), [({}, False), ({"interval": 2}, True), ({"switch_off": 0.5}, True)]
)
def test_a_mixer_that_rests_is_told_to_the_launcher(tmp_path, mixer, skips):
    assert samix_job(tmp_path, mixer=mixer).skips_parameters == skips


def test_cross_view_reaches_the_learner(tmp_path):
    swapped = MODEL.model_copy(update={"moco": MODEL.moco.model_copy(update={"cross_view": "swap"})})
    fields = shared(tmp_path) | {"model": swapped}
    job = SelfSupervisedJob(**fields, epochs=1, policy=PolicyConfig(name="mixup"))
    assert learner_of(job).method.config.cross_view == "swap"


def test_equal_seeds_give_equal_results_and_others_do_not(results, tmp_path):
    again = run_job(train_encoder, plain_job(tmp_path, "mixup"))
    assert again.path.read_bytes() == results["mixup"].path.read_bytes()
    other = SelfSupervisedJob(
        **shared(tmp_path, label="other", seed=6), epochs=1, policy=PolicyConfig(name="mixup")
    )
    found = run_job(train_encoder, other).load("backbone.")["net.conv1.weight"]
    assert not torch.equal(found, again.load("backbone.")["net.conv1.weight"])


def test_pseudo_labels_of_other_images_stop_the_job(tmp_path):
    job = samix_job(tmp_path)
    object.__setattr__(job, "pseudo_labels", pseudo_labels().iloc[:-3])
    with pytest.raises(
        DataError, match="61 pseudo labels for 64 training images: run the stage pseudo_labels"
    ):
        run_job(pretrain_mixer, job)
    assert not list(tmp_path.iterdir())


def test_a_queue_longer_than_the_data_stops_the_job_before_it_reads_an_image(tmp_path, monkeypatch):
    long = MODEL.moco.model_copy(update={"queue": 128})
    fields = shared(tmp_path) | {"model": MODEL.model_copy(update={"moco": long})}
    monkeypatch.setattr("samix.data.Images.open", None)
    with pytest.raises(ConfigError, match=r"moco.queue \(128\) is longer than the data set"):
        run_job(train_encoder, SelfSupervisedJob(**fields, epochs=1, policy=PolicyConfig(name="none")))
