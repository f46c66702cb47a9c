"""Every policy under every scenario: it trains, or is refused before, as the printed matrix says."""

import copy

import pytest
import torch

from helpers.steps import step_of
from helpers.tiny_moco import CLUSTERS, CONFIG, IMAGES, LABELS
from samix.config.mixing import MaskAdjustConfig, MixerTrainingConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.config.supervised import MixedLossConfig, SupervisedConfig
from samix.core.errors import ConfigError
from samix.core.step import StepContext
from samix.data import Labelled, TwoViews
from samix.methods import MoCo, SelfSupervised
from samix.methods.adversarial import AdversarialTraining
from samix.methods.labels import FixedLabels
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import POLICIES, AdAutoMix, GuidedMixup, Mixer, RandomChoice, SAMix, SAMixP
from samix.mixup.adapter import capabilities_of
from samix.mixup.policies.adautomix import AdversarialMixer
from samix.mixup.table import SCENARIOS, example, incompatibility, matrix_rows, name_of
from samix.nn import Classifier, Encoder, build_backbone

pytestmark = pytest.mark.slow

CNN = BackboneConfig(channels=(4, 4, 6, 8))
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
BATCH, CLASSES, SIZE, STEP = 4, 3, 32, StepContext(seed=0, step=1, total_steps=10, epoch=0)
MATRIX = {
    (row[0], scenario): cell
    for row in matrix_rows()
    for scenario, cell in zip(SCENARIOS, row[1:], strict=True)
}
BY_LABEL = MaskAdjustConfig(mode="auto_label")
VARIANTS = {
    "samix_p by label": lambda: by_label(),
    "guidedmixup by itself": lambda: GuidedMixup("sr"),
    "choice of inter_intra": lambda: RandomChoice(("mixup", "inter_intra"), (None, None)),
    "choice of stackmix": lambda: RandomChoice(("mixup", "stackmix"), (None, None), (0.0, 1.0)),
}


def by_label():
    policy = example("samix_p")
    statistics = [0.5] * 3, [0.25] * 3
    return SAMixP(policy.backbone, policy.mixer, BY_LABEL, trained_on=statistics)


def trained_along(policy):
    return isinstance(policy, SAMix) and not isinstance(policy, SAMixP)


def class_host(policy, backbone, lam_per_sample=False, **options):
    config = SupervisedConfig(**options)
    network, training = build_backbone(backbone), None
    if trained_along(policy):
        policy = type(policy)(Mixer(network.tap_channels, MixerConfig()), policy.adjust)
        training = MixerTraining(policy.mixer, MixerTrainingConfig())
    if isinstance(policy, AdAutoMix):
        policy = AdAutoMix(AdversarialMixer(network.tap_channels, 0.3), policy.config)
        training = AdversarialTraining(policy, MixerTrainingConfig())
    classifier = Classifier(network, CLASSES, head_names(config, policy), shared=False)
    return Supervised(
        classifier, config, policy=policy, mixer_training=training, lam_per_sample=lam_per_sample
    )


def moco_host(policy, backbone, labels, config=CONFIG):
    encoder, training = Encoder(build_backbone(backbone), config.projector), None
    if trained_along(policy):
        policy = type(policy)(Mixer(encoder.backbone.tap_channels, MixerConfig()), policy.adjust)
        options = SSLMixerTrainingConfig(objective="cluster" if labels else "instance")
        kind = (policy.mixer, options)
        training = (
            ClusterMixerTraining(*kind, encoder.backbone.width, CLUSTERS) if labels else MixerTraining(*kind)
        )
    source = FixedLabels(LABELS.clone(), CLUSTERS) if labels else None
    method = MoCo(encoder, config, seed=0)
    return SelfSupervised(method, policy=policy, mixer_training=training, labels=source)


HOSTS = {
    "class, CNN": lambda policy: class_host(policy, CNN),
    "class, ViT": lambda policy: class_host(policy, VIT),
    "cluster, CNN": lambda policy: moco_host(policy, CNN, labels=True),
    "cluster, ViT": lambda policy: moco_host(policy, VIT, labels=True),
    "instance, CNN": lambda policy: moco_host(policy, CNN, labels=False),
    "instance, ViT": lambda policy: moco_host(policy, VIT, labels=False),
}


def batch_for(learner):
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(2, BATCH, 3, SIZE, SIZE, generator=generator)
    index = torch.arange(BATCH) * 2 % IMAGES
    if isinstance(learner, SelfSupervised):
        return TwoViews(*views, index, torch.full((BATCH,), -1))
    return Labelled(views[0], torch.tensor([0, 1, 2, 1]), index)


def require_step(learner):
    """One step: finite losses, a mixed one among them, and finite gradients for all that is trained."""
    metrics = step_of(learner.train(), batch_for(learner), STEP)
    assert "loss_mixed" in metrics
    assert all(value.isfinite().all() for value in metrics.values())
    metrics["loss"].backward()
    owned = [
        parameter
        for part in learner.parameter_sets().values()
        for module in part.modules
        for parameter in module.parameters()
        if parameter.requires_grad
    ]
    assert owned and all(p.grad is not None and p.grad.isfinite().all() for p in owned)
    learner.after_step(STEP)


def require_as_told(policy, scenario, reason):
    """Training, or a refusal that names the policy before there is a learner."""
    torch.manual_seed(0)
    if reason is None:
        require_step(HOSTS[scenario](policy))
        return
    with pytest.raises(ConfigError) as refused:
        HOSTS[scenario](policy)
    assert str(refused.value) == reason and name_of(policy) in reason


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", POLICIES)
def test_the_matrix_is_true(name, scenario):
    policy = example(name)
    reason = incompatibility(policy, SCENARIOS[scenario])
    assert MATRIX[name, scenario] == ("works" if reason is None else "refused")
    require_as_told(policy, scenario, reason)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", VARIANTS)
def test_options_change_what_a_policy_requires(name, scenario):
    policy = VARIANTS[name]()
    reason = incompatibility(policy, SCENARIOS[scenario])
    wanted = {"choice of stackmix": "ViT", "guidedmixup by itself": "nowhere"}.get(name, "instance")
    assert (reason is not None) == (wanted in scenario)
    require_as_told(policy, scenario, reason)


def test_capabilities_of_hosts_are_those_of_the_scenarios():
    for scenario, capabilities in SCENARIOS.items():
        learner = HOSTS[scenario](example("mixup"))
        classes = scenario.startswith("class")
        backbone = (learner.classifier if classes else learner.method.encoder).backbone
        assert capabilities_of(backbone, labels=capabilities.labels, classes=classes) == capabilities


def test_the_matrix_holds_refusals_and_work():
    assert MATRIX.keys() == {(name, scenario) for name in POLICIES for scenario in SCENARIOS}
    refused = {place for place, cell in MATRIX.items() if cell == "refused"}
    assert {("stackmix", "class, ViT"), ("inter_intra", "instance, CNN")} <= refused
    for name in POLICIES:
        assert any((name, scenario) not in refused for scenario in SCENARIOS), name
    static = {name for name in POLICIES if not POLICIES[name].requires} - {"stackmix"}
    assert {"mixup", "cutmix", "fmix"} <= static


def test_features_of_another_view_are_not_mixed():
    policy = example("manifoldmix")
    with pytest.raises(ConfigError, match="cross_view"):
        moco_host(policy, CNN, labels=False, config=CONFIG.model_copy(update={"cross_view": "swap"}))


@pytest.mark.parametrize("name", [name for name in POLICIES if example(name).per_sample])
def test_one_lam_per_sample_where_the_policy_takes_it(name):
    torch.manual_seed(0)
    policy = example(name)
    backbone = CNN if incompatibility(policy, SCENARIOS["class, CNN"]) is None else VIT
    require_step(class_host(policy, backbone, lam_per_sample=True))


def test_one_lam_per_sample_is_refused_elsewhere():
    with pytest.raises(ConfigError, match=r"policy\.lam"):
        class_host(example("fmix"), CNN, lam_per_sample=True)


def test_what_is_refused_would_fail():
    """The refusals are necessary: without the check these policies stop in the first step."""
    learner = class_host(example("mixup"), VIT)
    learner.policy = example("stackmix")
    with pytest.raises(ConfigError, match="takes images of"):
        step_of(learner, batch_for(learner), STEP)
    learner = moco_host(example("mixup"), CNN, labels=False)
    learner.policy = example("inter_intra")
    with pytest.raises(ValueError, match="labels of both parents"):
        step_of(learner, batch_for(learner), STEP)


@pytest.mark.parametrize("loss", ["bce", "dm_ce", "dm_bce"])
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_under_every_mixed_loss(name, loss):
    torch.manual_seed(0)
    policy = example(name)
    backbone = CNN if incompatibility(policy, SCENARIOS["class, CNN"]) is None else VIT
    make = lambda: class_host(policy, backbone, mixed_loss=MixedLossConfig(name=loss))  # noqa: E731
    if not policy.many_parents:
        require_step(make())
        return
    with pytest.raises(ConfigError, match=r"supervised\.mixed_loss"):
        make()


@pytest.mark.parametrize("name", ["mixup", "stackmix"])
def test_a_step_is_repeatable(name):
    torch.manual_seed(0)
    learner = class_host(example(name), CNN).train()
    other = copy.deepcopy(learner)
    first, again = (step_of(one, batch_for(one), STEP)["loss"] for one in (learner, other))
    assert torch.equal(first, again)
