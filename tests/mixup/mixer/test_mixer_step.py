"""The Mixer's branch with a critic of two lines, against loops."""

import dataclasses
import math

import pytest
import torch

from helpers import naive_samix as naive
from samix.config.mixing import MaskAdjustConfig, MaskLossConfig, MixerTrainingConfig
from samix.config.networks import MixerConfig
from samix.core.step import StepContext
from samix.mixup import Mixer, draw_lam, draw_pairing
from samix.mixup.mixer.step import Critic, ParentInputs, draw_mixer_step, is_trained, mixer_step
from samix.objectives import ClassObjective

N, LABELS, OTHERS = 4, torch.tensor([0, 2, 1, 2]), torch.tensor([1, 2, 0, 2])
SHARES = {"linear": 0.7, "constant": 1.0, "cosine": 0.7938926261462366}
"""Of beta at step 3 of 10."""


class Case:
    """Images, maps, a Mixer that is far from its initial state, and a critic that remembers its images."""

    def __init__(self, step=3, **options):
        torch.manual_seed(0)
        sides = [(torch.randn(N, 3, 6, 8), torch.randn(N, 4, 3, 4), labels) for labels in (LABELS, OTHERS)]
        self.first, self.second = (ParentInputs(*side) for side in sides)
        self.mixer = Mixer(4, MixerConfig())
        for parameter in self.mixer.parameters():
            parameter.data.normal_()
        self.readout = torch.randn(3 * 6 * 8, 3) / 10
        self.config = MixerTrainingConfig(**options)
        self.ctx = StepContext(seed=0, step=step, total_steps=10, epoch=0)
        self.pairing = draw_pairing(N, torch.Generator().manual_seed(step))
        self.seen = None
        self.out = self.run()

    def run(self):
        critic = Critic(self.encode, lambda e: e @ self.readout, ClassObjective())
        sides = self.first, self.second
        draws = draw_mixer_step(self.mixer, self.config, self.ctx, self.pairing)
        return mixer_step(self.mixer, critic, sides, draws, self.config)

    def encode(self, images):
        self.seen = images
        return images.flatten(1)

    def want(self):
        """lam, permutation, mask and mixed images by loops: the partners are those of the second role."""
        index = self.pairing.index
        lam = draw_lam(self.config.alpha, self.ctx.numpy_generator("lam_mixer"))
        weights = {name: p.detach() for name, p in self.mixer.named_parameters()}
        maps, others = self.first.maps, self.second.maps[index]
        mask, _, _ = naive.mixer(weights, self.mixer.config, maps, others, lam, (6, 8))
        rows = zip(mask, self.first.images, index, strict=True)
        return lam, index, mask, torch.stack([m * a + (1 - m) * self.second.images[j] for m, a, j in rows])

    def terms(self):
        """Local and global term and the penalty of the mask, by loops."""
        lam, index, mask, images = self.want()
        logits = images.flatten(1) @ self.readout
        pairs = [(logits[i], LABELS[i], OTHERS[j]) for i, j in enumerate(index.tolist())]
        local = naive.mean([naive.binary(o[a], o[b], lam) for o, a, b in pairs if a != b])
        whole = naive.mean(
            [lam * naive.cross_entropy(o, a) + (1 - lam) * naive.cross_entropy(o, b) for o, a, b in pairs]
        )
        return local, whole, naive.mask_loss(mask, lam, self.config.mask_loss)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eta": 0.0},
        {"eta": 1.0},
        {"alpha": 0.5},
        {"loss": "global", "eta": 0.3},
        {"loss": "global_aux_local", "eta": 0.3},
        {"mask_loss": MaskLossConfig(schedule="constant", weight=0.3, statistic="batch")},
        {"mask_loss": MaskLossConfig(schedule="cosine", margin=0.0)},
        {"mask_loss": MaskLossConfig(mode="l1")},
    ],
    ids=str,
)
def test_loss_is_the_sum_of_its_terms(float64, options):
    case = Case(**options)
    local, whole, penalty = case.terms()
    classified = {
        "eta_balanced": local + case.config.eta * whole,
        "global": whole,
        "global_aux_local": whole + 0.5 * SHARES["cosine"] * local,
    }[case.config.loss]
    settings = case.config.mask_loss
    want = classified + settings.weight * SHARES[settings.schedule] * penalty
    torch.testing.assert_close(case.out.loss.detach(), want)
    torch.testing.assert_close(case.out.metrics["mixer_local"], local)
    torch.testing.assert_close(case.out.metrics["mixer_global"], whole)
    torch.testing.assert_close(case.out.metrics["mask_loss"], penalty)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.5), (5, 0.25), (9, 0.5 * (1 + math.cos(0.9 * math.pi)) / 2)]
)
def test_auxiliary_term_fades(float64, step, share):
    case = Case(step, loss="global_aux_local", mask_loss=MaskLossConfig(weight=0.0))
    local, whole, _ = case.terms()
    torch.testing.assert_close(case.out.loss.detach(), whole + share * local)


def test_sigmoid_loss_has_eta_off_the_mixed_classes(float64):
    """And so changes with eta, which the softmax loss of that name would not."""
    losses = []
    for eta in (0.0, 0.2, 1.0):
        case = Case(loss="sigmoid_negweight", eta=eta, mask_loss=MaskLossConfig(weight=0.0))
        lam, index, _, images = case.want()
        logits, total = images.flatten(1) @ case.readout, 0.0
        for n, j in enumerate(index.tolist()):
            for c in range(3):
                y = lam * float(LABELS[n] == c) + (1 - lam) * float(OTHERS[j] == c)
                p = torch.sigmoid(logits[n, c])
                weight = 1.0 if c in (LABELS[n], OTHERS[j]) else eta
                total -= weight * (y * torch.log(p) + (1 - y) * torch.log(1 - p)) / N
        torch.testing.assert_close(case.out.loss.detach(), total)
        losses.append(case.out.loss.item())
    assert losses[0] < losses[1] < losses[2]


def test_metrics_describe_the_masks(float64):
    case = Case()
    lam, _, mask, _ = case.want()
    error = naive.mean([abs(m.mean() - lam) for m in mask])
    variance = naive.mean([((m - m.mean()) ** 2).mean() for m in mask])
    torch.testing.assert_close(case.out.metrics["mask_error"], error)
    torch.testing.assert_close(case.out.metrics["mask_variance"], variance)
    assert not any(metric.requires_grad for metric in case.out.metrics.values())


def test_its_mask_is_not_adjusted(float64):
    """Adjusting, margin and all, is for the encoder's mask."""
    case = Case(mask_adjust=MaskAdjustConfig(mode="auto", margin=0.0, lam_margin=0.49))
    torch.testing.assert_close(case.seen.detach(), case.want()[3])


def test_one_permutation_for_images_maps_and_targets(float64):
    """Permuted once each: a second time, as in the released code, and mask and image are of other samples."""
    case = Case()
    calls = []
    case.mixer.register_forward_hook(lambda _, inputs, out: calls.append((*inputs[:3], out.mask.detach())))
    case.out = case.run()
    ((first, second, draws, mask),) = calls
    index = case.pairing.index.tolist()
    assert torch.equal(first, case.first.maps) and torch.equal(second, case.second.maps[index])
    twice = case.pairing.index[case.pairing.index]
    assert twice.tolist() != index
    torch.testing.assert_close(
        case.seen.detach(), mask * case.first.images + (1 - mask) * case.second.images[index]
    )
    assert torch.equal(draws.weights, case.out.weights)


def test_what_it_hands_on(float64):
    case = Case()
    lam, _, _, images = case.want()
    assert case.out.weights.tolist() == [lam, 1 - lam]
    torch.testing.assert_close(case.out.encoded.detach(), images.flatten(1))


def test_gradient_is_that_of_finite_differences(float64):
    """Through the critic, the images and the mask down to the weights."""
    case = Case(mask_loss=MaskLossConfig(weight=0.5))
    case.out.loss.backward()
    weight, step = case.mixer.content[3].weight, 1e-6
    for place in ((0, 0, 0, 0), (0, 1, 0, 0)):
        losses = []
        for change in (step, -2 * step):
            weight.data[place] += change
            losses.append(case.run().loss.item())
        weight.data[place] += step
        slope = (losses[0] - losses[1]) / (2 * step)
        assert weight.grad[place].item() == pytest.approx(slope, rel=1e-5)


def context(step=3, total=10, **options):
    return StepContext(seed=0, step=step, total_steps=total, epoch=0, **options)


def trained_steps(total=600, **options):
    config = MixerTrainingConfig(**options)
    return [step for step in range(total) if is_trained(config, context(step, total))]


def test_every_step_trains_it():
    assert trained_steps(50) == list(range(50))


@pytest.mark.parametrize("interval", [2, 5])
def test_interval(interval):
    assert trained_steps(20, interval=interval) == list(range(0, 20, interval))


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_switch_off_trains_with_its_probability(p):
    """p = 0 means always, 1 as well; within four standard deviations."""
    found = len(trained_steps(switch_off=p))
    assert abs(found - 600 * p) < 4 * math.sqrt(600 * p * (1 - p))
    assert len(trained_steps(50, switch_off=1.0)) == 50


def test_switch_off_follows_its_schedule():
    """Half-cosine from 1 to 0: a mean of 0.91 in the first third, 0.09 in the last."""
    steps = trained_steps(switch_off=1.0, switch_off_schedule="cosine")
    thirds = [sum(start <= step < start + 200 for step in steps) for start in (0, 200, 400)]
    want = [sum((1 + math.cos(math.pi * t / 600)) / 2 for t in range(s, s + 200)) for s in (0, 200, 400)]
    assert thirds == pytest.approx(want, abs=30)
    assert thirds[0] > 2 * thirds[2] + 100


def test_switch_off_applies_to_the_steps_of_the_interval():
    both = trained_steps(switch_off=0.5, interval=3)
    assert both == [step for step in trained_steps(switch_off=0.5) if step % 3 == 0]


def test_ranks_agree_on_who_is_switched_off():
    config = MixerTrainingConfig(switch_off=0.5)
    ranks = [
        [is_trained(config, context(step, rank=rank, world_size=4)) for step in range(60)]
        for rank in range(4)
    ]
    assert ranks[0] == ranks[1] == ranks[2] == ranks[3] and 0 < sum(ranks[0]) < 60


def test_a_step_without_training_gives_nothing_and_touches_nothing():
    case = Case(interval=2)
    assert case.out is None and case.seen is None
    assert Case(step=4, interval=2).out is not None


def test_a_step_without_training_may_keep_the_mask_loss(float64):
    case = Case(interval=2, switch_off_keeps_mask_loss=True)
    assert case.seen is None and case.out.encoded is None  # nothing was scored
    penalty = case.terms()[2]
    torch.testing.assert_close(case.out.loss.detach(), 0.1 * SHARES["linear"] * penalty)
    assert case.out.metrics.keys() == {"mask_loss", "mask_error", "mask_variance"}
    case.out.loss.backward()
    assert case.mixer.query.weight.grad.any()


def test_lam_is_each_ranks_own(float64):
    case = Case()
    case.ctx = dataclasses.replace(case.ctx, rank=1, world_size=2)
    assert not torch.equal(case.run().weights, case.out.weights)
