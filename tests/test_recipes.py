"""The environments of conf/: each is valid, has the figures of the paper's tables and trains."""

from functools import cache

import pandas as pd
import pytest
import torch
from accelerate import Accelerator

from helpers.environments import ENVIRONMENTS, Settings
from helpers.paper_recipes import CIFAR_STATISTICS, IMAGENET_STATISTICS, RECIPES, SGD, SSL
from samix.config.data import AugmentConfig
from samix.config.training import TrainingConfig
from samix.data import Augment, Images, LabelledBatches, MemoryStore, SupervisedAugment, TwoViewBatches
from samix.jobs import self_supervised
from samix.jobs.supervised import SupervisedJob, build_supervised
from samix.kedro.parameters import check_parameters
from samix.methods import MoCo
from samix.nn import build_backbone
from samix.pipeline_registry import register_pipelines
from samix.training import fit, launch
from samix.training.checkpoint import Checkpoint

pytestmark = pytest.mark.slow


@cache
def settings_of(row):
    """Of an environment, or of a row of the table: an environment with some parameters changed."""
    return Settings(row.split()[0], RECIPES[row].changes if row in RECIPES else {})


@pytest.fixture(scope="module")
def pipelines():
    return register_pipelines().values()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_stage_takes_the_parameters_of_every_environment(name, pipelines):
    check_parameters(settings_of(name).values, pipelines)


def test_every_benchmark_of_the_paper_has_an_environment():
    benchmarks = "cifar10 cifar100 tiny_imagenet stl10 imagenet cub200 aircraft inat2017 inat2018 places205"
    assert {row.split()[0] for row in RECIPES} <= set(ENVIRONMENTS)
    assert set(benchmarks.split()) <= set(RECIPES)


@pytest.mark.parametrize("row", RECIPES)
def test_supervised_figures_are_those_of_the_tables(row):
    found, recipe = settings_of(row), RECIPES[row]
    data, supervised, mixer = found.data_preparation, found.supervised, found.mixer_pretraining_sl
    assert (data.image_size, data.classes) == (recipe.size, recipe.classes)
    cifar = data.source.startswith("cifar")
    assert (data.mean, data.std) == (CIFAR_STATISTICS if cifar else IMAGENET_STATISTICS)
    assert found.model.backbone.name == recipe.network
    assert (found.sl_training.epochs, supervised.batch_size) == (recipe.epochs, recipe.batch)
    encoder = supervised.optimizer
    assert (encoder.name, encoder.lr, encoder.min_lr, encoder.weight_decay) == recipe.encoder
    assert (mixer.optimizer.name, mixer.optimizer.lr, mixer.optimizer.min_lr) == recipe.mixer
    assert mixer.optimizer.weight_decay == (recipe.encoder[3] if encoder.name != "lamb" else 1e-4)
    assert (mixer.mixer.rescale_k, mixer.mixer.dropout) == (recipe.k, recipe.dropout)
    assert (mixer.eta, supervised.ema.end) == (recipe.eta, recipe.end)
    for key, expected in recipe.more.items():
        assert found[key] == expected, key


@pytest.mark.parametrize("row", RECIPES)
def test_nothing_of_the_small_default_is_left(row):
    found = settings_of(row)
    supervised, mixer, policy = found.supervised, found.mixer_pretraining_sl, found.sl_training.policy
    assert found.model.backbone.channels is None and found.model.backbone.tap is None
    assert (policy.name, policy.alpha, mixer.alpha) == ("samix", 2, 2)
    assert mixer.mixer.init_std == 0.01 and mixer.mixer.gamma == "learnable"
    assert mixer.mask_adjust.mode == "off" and mixer.mask_adjust.lam_margin == 0.08
    assert mixer.loss == "eta_balanced"
    mask = mixer.mask_loss
    assert (mask.mode, mask.margin, mask.variance_weight) == ("l1_variance", 0.1, 2)
    assert (mask.weight, mask.schedule) == (0.1, "linear")
    assert supervised.ema.start == 0.999 and supervised.augment.flip and supervised.heads == "two"
    for part in (supervised, mixer):
        assert part.optimizer.schedule == "cosine"
        assert part.optimizer.per_epoch == (part.optimizer.name == SGD)
    unusual = RECIPES[row].more
    for key, usual in {
        "supervised.ema.hold": 0.1,
        "supervised.label_smoothing": 0,
        "supervised.no_repeat": False,
        "supervised.plain_mix": False,
        "supervised.augment.rand_augment": None,
        "supervised.optimizer.clip_grad": None,
        "supervised.optimizer.warmup": 0,
        "supervised.optimizer.momentum": 0.9,
        "mixer_pretraining_sl.optimizer.momentum": 0.9,
        "mixer_pretraining_sl.mixer.upsample": "bilinear",
        "mixer_pretraining_sl.switch_off": 0,
        "model.backbone.drop_path": 0,
        "model.backbone.pretrained": False,
    }.items():
        assert key in unusual or found[key] == usual, key


@pytest.mark.parametrize("row", RECIPES)
def test_the_mixer_sees_the_map_of_the_table(row):
    found, recipe = settings_of(row), RECIPES[row]
    backbone = build_backbone(found.backbone)
    assert backbone.image_size in (None, (recipe.size, recipe.size))
    assert (backbone.tap_channels, recipe.size // backbone.tap_stride) == recipe.tap


def test_tiny_imagenet_for_self_supervision_is_a_matter_of_parameters():
    """Its comment says how: 96 px and a ResNet-50."""
    network = {"model.backbone.name": "resnet50", "model.backbone.stem": "imagenet"}
    found = Settings("tiny_imagenet", {"data_preparation.image_size": 96, **network})
    assert found.data_preparation.image_size == 96
    backbone = build_backbone(found.backbone)
    assert (backbone.tap_channels, 96 // backbone.tap_stride, backbone.width) == (1024, 6, 2048)


@pytest.mark.parametrize("name", SSL)
def test_self_supervised_figures_are_those_of_the_tables(name):
    found = settings_of(name)
    images, queue, epochs, rate, k, dropout = SSL[name]
    host, mixer, linear = found.model.moco, found.mixer_pretraining, found.linear_evaluation
    MoCo.check(host, images)
    assert (host.batch_size, host.queue, host.ema, host.temperature) == (256, queue, 0.999, 0.2)
    assert (host.projector.hidden, host.projector.out, host.projector.norm) == (2048, 128, False)
    step = host.optimizer
    assert (step.name, step.lr, step.min_lr, step.momentum, step.weight_decay) == (SGD, 0.03, 0, 0.9, 1e-4)
    assert host.augment == AugmentConfig()  # A2, the recipe of MoCo v2
    assert host.cross_view == "q2k"
    policy = found.ssl_training.policy
    assert (found.ssl_training.epochs, policy.name, policy.alpha) == (epochs, "samix", 2)
    assert (mixer.objective, mixer.loss, mixer.eta, mixer.start) == ("cluster", "eta_balanced", 0.5, "random")
    assert (mixer.mixer.rescale_k, mixer.mixer.dropout, mixer.mixer.init_std) == (k, dropout, 0.01)
    adjust = mixer.mask_adjust
    assert (adjust.mode, adjust.margin, adjust.lam_margin) == ("auto", 0.1, -1)
    assert (mixer.optimizer.name, mixer.optimizer.lr, mixer.optimizer.min_lr) == (SGD, 0.1, 1e-3)
    assert found.pseudo_labels.clustering.clusters == 200
    assert (linear.epochs, linear.batch_size, linear.augmentation) == (100, 256, "crop_flip")
    assert (linear.optimizer.lr, linear.optimizer.weight_decay) == (rate, 0)
    assert (linear.optimizer.schedule, linear.optimizer.milestones) == ("multistep", (0.6, 0.8))


def test_detection_is_the_protocol_of_voc():
    found = settings_of("imagenet").detection_transfer
    detector, optimizer = found.detector, found.optimizer
    steps = found.epochs * (16_551 // found.batch_size)  # pictures of trainval 2007 and 2012
    assert (found.source, found.batch_size, optimizer.lr, optimizer.clip_grad) == ("voc", 16, 0.02, None)
    assert steps == pytest.approx(24_000, rel=0.02)
    assert [share * 24_000 for share in optimizer.milestones] == pytest.approx([18_000, 22_000], rel=1e-3)
    assert optimizer.warmup * steps == pytest.approx(100, abs=1)
    assert detector.min_size == tuple(range(480, 801, 32)) and detector.max_size == 1333
    assert detector.roi_size == 14 and detector.extra_norm


@pytest.fixture
def two_steps(tmp_path, monkeypatch):
    """Trains a learner on two batches of two images; returns its history's row and what has moved."""
    monkeypatch.setattr(Checkpoint, "save", lambda checkpoint, path: None)  # up to half a gigabyte each
    histories = []

    def train(job, learner, batches):
        def worker(job, accelerator):
            histories.append(fit(learner, batches, epochs=1, job=job, accelerator=accelerator))

        # without the statistics of norms, which any forward pass moves
        before = {name: p.detach().clone() for name, p in learner.named_parameters(remove_duplicate=False)}
        launch(worker, job, job.training)
        after = dict(learner.named_parameters(remove_duplicate=False))
        (row,) = histories.pop()
        return row, {name for name in before if not torch.equal(before[name], after[name])}

    return train


def job_fields(folder, found):
    training = TrainingConfig(work_dir=folder, device="cpu", threads=1, log_every=50)
    fields = {"label": "recipe", "seed": 2, "training": training}
    return fields | {"images": Images(found.card, pd.DataFrame()), "epochs": 1}


def noise(found, images):
    generator = torch.Generator().manual_seed(0)
    side, classes = found.card["stored_size"], len(found.card["classes"])
    pixels = torch.randint(256, (images, 3, side, side), generator=generator, dtype=torch.uint8)
    return MemoryStore(pixels, torch.randint(classes, (images,), generator=generator))


def rate_of_second_step(optimizer):
    """By the epoch: that of the first; by the step: half of a cosine is behind."""
    return optimizer.lr if optimizer.per_epoch else (optimizer.lr + optimizer.min_lr) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [row for row in RECIPES if not RECIPES[row].changes])
def test_supervised_recipe_trains(name, two_steps, tmp_path):
    found = settings_of(name)
    mixer = found.mixer_pretraining_sl
    job = SupervisedJob(
        **job_fields(tmp_path, found),
        backbone=found.backbone,
        supervised=found.supervised,
        policy=found.sl_training.policy,
        mixer=mixer,
    )
    learner = build_supervised(job)
    augment = SupervisedAugment.for_data(found.supervised.augment, found.card)
    row, moved = two_steps(job, learner, LabelledBatches(noise(found, 4), augment, 2, 0))
    assert {"loss_plain", "loss_mixed", "mixer_local", "mixer_global"} <= row.keys()
    assert row["lr/encoder"] == pytest.approx(rate_of_second_step(found.supervised.optimizer))
    assert row["lr/mixer"] == pytest.approx(rate_of_second_step(mixer.optimizer))
    for part in ("classifier.backbone", "classifier.heads.plain", "classifier.heads.mixed"):
        assert any(key.startswith(part) for key in moved), part
        assert any(key.startswith(f"momentum_{part}") for key in moved), part
    assert any(key.startswith("mixer_training.mixer.content") for key in moved)


@pytest.mark.slow
@pytest.mark.parametrize("name", SSL)
def test_self_supervised_recipe_trains(name, two_steps, tmp_path):
    found = settings_of(name)
    host = found.model.moco.model_copy(update={"batch_size": 2, "queue": 4})
    store = noise(found, 4)
    job = self_supervised.SelfSupervisedJob(
        **job_fields(tmp_path, found),
        model=found.model.model_copy(update={"moco": host}),
        policy=found.ssl_training.policy,
        mixer=found.mixer_pretraining,
        pseudo_labels=pd.DataFrame({"pseudo_label": [0, 0, 1, 1]}),
        clustering=found.pseudo_labels.clustering.model_copy(update={"clusters": 2}),
    )
    learner = self_supervised._learner(job, store, Accelerator(cpu=True))
    augment = Augment.for_data(host.augment, found.card)
    row, moved = two_steps(job, learner, TwoViewBatches(store, augment, 2, 0))
    assert {"loss_ssl", "loss_mixed", "mixer_local", "mixer_global", "head_loss"} <= row.keys()
    assert row["lr/encoder"] == pytest.approx(rate_of_second_step(host.optimizer))
    for part in ("encoder.backbone", "encoder.projector"):
        assert any(key.startswith(f"method.{part}") for key in moved), part
        assert any(key.startswith(f"method.momentum_{part}") for key in moved), part
    assert any(key.startswith("mixer_training.mixer.content") for key in moved)
    assert sorted(learner.method.queue.index.tolist()) == [0, 1, 2, 3]  # two batches of two are all images


@pytest.mark.parametrize("name", sorted({row.split()[0] for row in RECIPES}))
def test_the_benchmark_trains_as_long_as_the_recipe(name):
    benchmark = Settings(name, {}).mixup_benchmark
    assert benchmark.epochs is None and benchmark.mixer_epochs is None
    if Settings(name, {}).data_preparation.source == "folder":  # a folder does not tell what it holds
        assert name.startswith(benchmark.alphas)
