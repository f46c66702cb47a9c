"""The Mixer's branch with a judge of two lines, against loops."""

import naive_samix as naive
import pytest
import torch

from samix.config.mixing import MaskAdjustConfig, MaskLossConfig, MixerTrainingConfig
from samix.config.networks import MixerConfig
from samix.core.step import StepContext
from samix.mixup import Mixer, draw_lam, draw_pairing
from samix.mixup.mixer.step import Judge, mixer_step
from samix.objectives import ClassObjective

N, LABELS = 4, torch.tensor([0, 2, 1, 2])


class Case:
    """Images, maps, a Mixer that is far from its initial state, and a judge that remembers its images."""

    def __init__(self, step=3, **options):
        torch.manual_seed(0)
        self.images, self.maps = torch.randn(N, 3, 6, 8), torch.randn(N, 4, 3, 4)
        self.mixer = Mixer(4, MixerConfig())
        for parameter in self.mixer.parameters():
            parameter.data.normal_()
        self.readout = torch.randn(3 * 6 * 8, 3) / 10
        self.config = MixerTrainingConfig(**options)
        self.ctx = StepContext(seed=0, step=step, total_steps=10, epoch=0)
        self.seen = None
        self.out = self.run()

    def run(self):
        judge = Judge(self.encode, lambda e: e @ self.readout, ClassObjective(), LABELS)
        return mixer_step(self.mixer, judge, self.images, self.maps, self.config, self.ctx)

    def encode(self, images):
        self.seen = images
        return images.flatten(1)

    def want(self):
        """lam, permutation, mask and mixed images by loops."""
        index = draw_pairing(N, self.ctx.shared_generator("pairing_mixer")).index
        lam = draw_lam(self.config.alpha, self.ctx.numpy_generator("lam_mixer"))
        weights = {name: p.detach() for name, p in self.mixer.named_parameters()}
        mask, _, _ = naive.mixer(weights, self.mixer.config, self.maps, self.maps[index], lam, (6, 8))
        return lam, index, mask, naive.blend(self.images, index, mask)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eta": 0.0},
        {"eta": 1.0},
        {"alpha": 0.5},
        {"mask_loss": MaskLossConfig(schedule="constant", weight=0.3, statistic="batch")},
        {"mask_loss": MaskLossConfig(schedule="cosine", margin=0.0)},
    ],
    ids=str,
)
def test_loss_is_the_sum_of_its_terms(float64, options):
    case = Case(**options)
    lam, index, mask, images = case.want()
    logits = images.flatten(1) @ case.readout
    pairs = [(logits[i], LABELS[i], LABELS[j]) for i, j in enumerate(index.tolist())]
    local = naive.mean([naive.binary(o[a], o[b], lam) for o, a, b in pairs if a != b])
    whole = naive.mean(
        [lam * naive.cross_entropy(o, a) + (1 - lam) * naive.cross_entropy(o, b) for o, a, b in pairs]
    )
    settings = case.config.mask_loss
    at_step_3_of_10 = {"linear": 0.7, "constant": 1.0, "cosine": 0.7938926261462366}
    share = at_step_3_of_10[settings.schedule]
    penalty = naive.mask_loss(mask, lam, settings)
    want = local + case.config.eta * whole + settings.weight * share * penalty
    torch.testing.assert_close(case.out.loss.detach(), want)
    torch.testing.assert_close(case.out.metrics["mixer_local"], local)
    torch.testing.assert_close(case.out.metrics["mixer_global"], whole)
    torch.testing.assert_close(case.out.metrics["mask_loss"], penalty)


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


def test_what_it_hands_on(float64):
    case = Case()
    lam, index, _, images = case.want()
    assert case.out.lam == lam and torch.equal(case.out.pairing.index, index)
    torch.testing.assert_close(case.out.encoded.detach(), images.flatten(1))


def test_gradient_is_that_of_finite_differences(float64):
    """Through the judge, the images and the mask down to the weights."""
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
