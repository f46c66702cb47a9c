"""A job's fingerprint: of its fields, its data, earlier results and the code that it names."""

import inspect
from dataclasses import replace

import pytest

from helpers.tiny_jobs import (
    CLUSTERING,
    SETTINGS,
    digits,
    on_backbone,
    pseudo_labels,
    samix_job,
    shared,
    supervised_job,
)
from samix.config.mixing import PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.ssl import ModelConfig
from samix.core.fingerprint import code_of
from samix.data import Images
from samix.jobs.build import policy_classes
from samix.jobs.detection import DetectionJob
from samix.jobs.linear import LinearJob
from samix.jobs.pseudo_labels import PseudoLabelsJob
from samix.mixup import POLICIES
from samix.training import job as job_module


def test_circumstances_do_not_count(tmp_path):
    job = supervised_job(tmp_path)
    training = job.training.model_copy(
        update={"threads": 7, "checkpoint_every": 9, "log_every": 4, "work_dir": tmp_path / "x"}
    )
    same = (
        supervised_job(tmp_path),
        replace(job, folder="elsewhere", sink=print),
        replace(job, training=training),
        replace(job, images=Images({**digits().card, "root": "/moved"}, digits().manifest)),
    )
    assert {job.fingerprint} == {other.fingerprint for other in same}


CHANGES = {
    "seed": {"seed": 6},
    "label": {"label": "other"},
    "epochs": {"epochs": 3},
    "policy": {"policy": PolicyConfig(name="samix", alpha=0.3)},
    "images": {"images": Images({**digits().card, "mean": [0.1] * 3}, digits().manifest)},
    "manifest": {"images": Images(digits().card, digits().manifest.iloc[1:])},
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_counts(tmp_path, name):
    job = supervised_job(tmp_path)
    assert replace(job, **CHANGES[name]).fingerprint != job.fingerprint


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"devices": 2}])
def test_of_the_training_precision_and_processes_count(tmp_path, change):
    job = supervised_job(tmp_path)
    other = replace(job, training=job.training.model_copy(update=change))
    assert other.fingerprint != job.fingerprint


def test_labels_and_how_they_follow_count(tmp_path):
    job = samix_job(tmp_path)
    others = (
        replace(job, pseudo_labels=pseudo_labels(3)),
        replace(job, clustering=CLUSTERING.model_copy(update={"new_feature_weight": 0.3})),
    )
    assert len({job.fingerprint, *(other.fingerprint for other in others)}) == 3


def test_the_code_of_the_policy_counts_and_that_of_others_does_not(tmp_path, monkeypatch):
    before = {name: supervised_job(tmp_path, name).fingerprint for name in ("cutmix", "mixup", "none")}
    read = job_module.code_of
    monkeypatch.setattr(
        job_module, "code_of", lambda kind: "new" if kind is POLICIES["cutmix"] else read(kind)
    )
    after = {name: supervised_job(tmp_path, name).fingerprint for name in before}
    assert {name for name in before if before[name] != after[name]} == {"cutmix"}


OPTIONS = {
    "attentivemix": lambda path: {"weights": str(path)},
    "supermix": lambda path: {"weights": str(path)},
    "tokenmix": lambda path: {"label": "teacher", "weights": str(path)},
    "pixmix": lambda path: {"pictures": str(path.parent)},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_content_of_files_that_options_name_counts(tmp_path, name):
    def digest(content):
        (tmp_path / "named").mkdir(exist_ok=True)
        (tmp_path / "named" / "w.png").write_text(content)
        policy = PolicyConfig(name=name, options=OPTIONS[name](tmp_path / "named" / "w.png"))
        jobs = supervised_job(tmp_path), samix_job(tmp_path)
        return [replace(job, policy=policy).fingerprint for job in jobs]

    before = digest("a")
    assert digest("a") == before
    assert all(one != other for one, other in zip(digest("bc"), before, strict=True))


def test_timms_own_weights_are_no_file():
    assert not POLICIES["supermix"].files({"weights": "timm"}) and not POLICIES["tokenmix"].files({})


def test_the_content_of_pretrained_weights_counts(tmp_path):
    file = tmp_path / "w.pth"
    backbone = BackboneConfig(stem="imagenet", pretrained=True, pretrained_file=file)
    own, model = {"backbone": backbone}, {"model": ModelConfig(backbone=backbone)}
    fields, settings = on_backbone(shared(tmp_path)) | own, SETTINGS

    def digests():
        return [
            replace(supervised_job(tmp_path), **own).fingerprint,
            replace(samix_job(tmp_path), **model).fingerprint,
            PseudoLabelsJob(**shared(tmp_path) | model, config=settings.pseudo_labels).fingerprint,
            LinearJob(**fields, weights=None, config=settings.linear_evaluation).fingerprint,
            DetectionJob(
                **fields,
                weights=None,
                scenes={"root": str(tmp_path), "year": "2007"},
                config=settings.detection_transfer,
            ).fingerprint,
        ]

    file.write_text("a")
    before = digests()
    assert digests() == before
    file.write_text("b")
    assert all(one != other for one, other in zip(digests(), before, strict=True))


@pytest.mark.parametrize("file", ["Annotations/a.xml", "ImageSets/Main/train.txt", "JPEGImages/a.jpg"])
def test_the_content_of_a_set_of_scenes_counts(tmp_path, file):
    def digest(content):
        path = tmp_path / "VOCdevkit" / "VOC2007" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return DetectionJob(
            **on_backbone(shared(tmp_path)),
            weights=None,
            scenes={"root": str(tmp_path), "year": "2007"},
            config=SETTINGS.detection_transfer,
        ).fingerprint

    before = digest("a")
    assert digest("a") == before != digest("bc")


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("samix.mixup.policies.samix", {"samix", "automix", "samix_p"}),
        ("samix.mixup.policies.samix_p", {"samix_p"}),
        ("samix.mixup.policy", set()),
    ],
)
def test_inherited_code_counts_up_to_the_interface(module, changed, monkeypatch, fresh_code):
    def codes():
        fresh_code()
        return {name: code_of(POLICIES[name]) for name in ("cutmix", "samix", "automix", "samix_p")}

    before, read = codes(), inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda m: read(m) + "\nx = 1\n" * (m.__name__ == module))
    after = codes()
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.fixture
def fresh_code():
    """Clears the cache of `code_of`, once more at the end."""
    yield code_of.cache_clear
    code_of.cache_clear()


def test_a_choice_names_the_policies_that_it_chooses_among():
    choice = PolicyConfig(name="random_choice", options={"policies": ["fmix", "cutmix"]})
    assert policy_classes(choice) == {POLICIES[name] for name in ("random_choice", "fmix", "cutmix")}
    assert policy_classes(PolicyConfig(name="samix_p")) == {POLICIES["samix_p"]}
    assert policy_classes(PolicyConfig(name="none")) == set()
