"""Mask loss, lambda adjusting and lam margin against loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers import naive_samix as naive
from samix.config.mixing import MaskAdjustConfig, MaskLossConfig
from samix.mixup.mixer.masks import adjust_mask, draw_adjustment, mask_loss, set_mean, smooth


def masks_of(n=4, h=5, w=7, seed=0):
    """Masks with means spread over (0, 1)."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((n, 1, h, w)) ** 2 ** rng.uniform(-3, 3, (n, 1, 1, 1))).float()


def weights_of(lam):
    """(2,), lam and 1 - lam."""
    return torch.tensor([lam, 1 - lam], dtype=torch.float64).float()


def mean_set(mask, lam, margin):
    bounds = torch.tensor([lam - margin, lam + margin], dtype=torch.float64).float()
    return set_mean(mask, weights_of(lam), bounds)


def loss_of(mask, lam, config):
    return mask_loss(mask, weights_of(lam)[0], config)


MODES = ["l1_variance", "l1", "l2_variance", "sparsity"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("statistic", ["sample", "batch"])
@pytest.mark.parametrize("lam", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize(("margin", "variance_weight"), [(0.1, 2.0), (0.0, 0.5), (0.3, 0.0)])
def test_mask_loss(float64, mode, statistic, lam, margin, variance_weight):
    config = MaskLossConfig(mode=mode, statistic=statistic, margin=margin, variance_weight=variance_weight)
    mask = masks_of().double()
    torch.testing.assert_close(loss_of(mask, lam, config), naive.mask_loss(mask, lam, config))


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("l1_variance", (0.4 - 0.1 - 2 * 0.25, 0.2)),
        ("l1", (0.4 - 0.1, 0.2)),
        ("l2_variance", (0.16 - 0.01 - 2 * 0.25, 0.09 - 0.01)),
        ("sparsity", (0.0, 0.24 - 0.1)),
    ],
)
def test_modes_by_hand(mode, values):
    """lam = 0.9 for a mask of zeros and ones in equal parts, and for 0.6 everywhere."""
    sharp = torch.tensor([0.0, 1.0]).repeat(8).view(1, 1, 4, 4)
    for mask, value in zip((sharp, torch.full((1, 1, 4, 4), 0.6)), values, strict=True):
        assert loss_of(mask, 0.9, MaskLossConfig(mode=mode)).item() == pytest.approx(value, abs=1e-6)


def test_mask_loss_by_hand():
    """Half black, half white: mean 1/2, variance 1/4, the largest there is."""
    mask = torch.tensor([0.0, 1.0]).repeat(8).view(1, 1, 4, 4)
    assert loss_of(mask, 0.5, MaskLossConfig()).item() == pytest.approx(-2 * 0.25)
    assert loss_of(mask, 0.9, MaskLossConfig()).item() == pytest.approx(0.4 - 0.1 - 2 * 0.25)
    flat = torch.full((1, 1, 4, 4), 0.45)
    assert loss_of(flat, 0.5, MaskLossConfig()).item() == pytest.approx(0, abs=1e-6)


def test_batch_statistic_sees_the_difference_between_samples():
    mask = torch.stack([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    assert loss_of(mask, 0.5, MaskLossConfig(statistic="batch")).item() == pytest.approx(-0.5)
    assert loss_of(mask, 0.5, MaskLossConfig(statistic="sample")).item() == pytest.approx(0.5 - 0.1)


def test_mask_loss_pushes_apart_and_to_lam():
    """Descent makes masks sharper, and their means approach lam from both sides."""
    mask = torch.tensor([0.4, 0.6]).view(1, 1, 1, 2).requires_grad_()
    loss_of(mask, 0.5, MaskLossConfig()).backward()
    assert mask.grad[0, 0, 0, 0] > 0 > mask.grad[0, 0, 0, 1]  # the low one falls, the high one rises
    for value, sign in ((0.2, -1), (0.9, 1)):
        flat = torch.full((1, 1, 4, 4), value, requires_grad=True)
        loss_of(flat, 0.5, MaskLossConfig()).backward()
        assert (flat.grad.sign() == sign).all()


@pytest.mark.parametrize("mode", MODES)
def test_mask_loss_gradient(float64, mode):
    mask = masks_of(2, 3, 4).double().requires_grad_()
    for statistic in ("sample", "batch"):
        config = MaskLossConfig(mode=mode, statistic=statistic, margin=0.05)
        assert torch.autograd.gradcheck(lambda m, c=config: loss_of(m, 0.9, c), mask)


def test_mask_loss_of_half_precision_is_computed_in_float32():
    mask = masks_of().bfloat16()
    config = MaskLossConfig()
    torch.testing.assert_close(loss_of(mask, 0.3, config), loss_of(mask.float(), 0.3, config))


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    margin=st.sampled_from([0.0, 0.1, 0.4]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 99),
)
def test_set_mean_fires_exactly_beyond_the_margin(lam, margin, shape, seed):
    mask = masks_of(*shape, seed=seed)
    out = mean_set(mask, lam, margin)
    before, after = mask.double().mean((1, 2, 3)), out.double().mean((1, 2, 3))
    for n in range(len(mask)):
        distance = abs(before[n].item() - lam)
        if distance > margin + 1e-6:
            assert abs(after[n].item() - lam) < 1e-6
        elif distance < margin - 1e-6:
            torch.testing.assert_close(out[n], mask[n], atol=1e-7, rtol=0)
    assert out.isfinite().all() and out.min() >= 0 and out.max() <= 1


def test_set_mean_scales_what_is_too_large(float64):
    mask = masks_of(8).double()
    means = mask.mean((1, 2, 3))
    assert means.min() < 0.3 and means.max() > 0.5  # both directions and the middle are met
    want = torch.stack([naive.adjust(m, 0.4, 0.1) for m in mask.clamp(1e-8, 1 - 1e-8)])
    torch.testing.assert_close(mean_set(mask, 0.4, 0.1), want)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_set_mean_of_masks_at_their_limits(value, lam):
    out = mean_set(torch.full((1, 1, 4, 4), value), lam, margin=0.1)
    torch.testing.assert_close(out, torch.full((1, 1, 4, 4), lam), atol=1e-6, rtol=0)


def adjusted(mask, lam, alike=None, seed=0, **options):
    """seed: or a generator."""
    config = MaskAdjustConfig(**options)
    draws = draw_adjustment(np.random.default_rng(seed), lam, config)
    return adjust_mask(mask, weights_of(lam), config, draws, alike)


def test_modes():
    mask = masks_of(8)
    assert torch.equal(adjusted(mask, 0.4, mode="off"), mask)
    assert torch.equal(adjusted(mask, 0.4, mode="auto", margin=0.2), mean_set(mask, 0.4, 0.2))
    assert torch.equal(adjusted(mask, 0.4, mode="prob", probability=0.0), mask)
    always = adjusted(mask, 0.4, mode="prob", probability=1.0, margin=0.5)  # its margin is for auto alone
    torch.testing.assert_close(always.mean((1, 2, 3)), torch.full((8,), 0.4), atol=1e-6, rtol=0)


def test_prob_adjusts_whole_batches_at_its_rate():
    mask, rng = masks_of(), np.random.default_rng(0)
    options = {"mode": "prob", "probability": 0.25}
    changed = [(adjusted(mask, 0.4, seed=rng, **options) != mask).flatten(1).any(1) for _ in range(400)]
    assert all(row.all() or not row.any() for row in changed)
    share = torch.stack(changed)[:, 0].float().mean().item()
    assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 400) ** 0.5)


def test_pairs_of_one_label_are_mixed_evenly():
    mask, alike = masks_of(4), torch.tensor([True, False, True, False])
    out = adjusted(mask, 0.4, alike, mode="auto_label", margin=0.02)
    assert (out[alike] == torch.tensor(0.4)).all()
    assert torch.equal(out[~alike], mean_set(mask, 0.4, 0.02)[~alike])
    with pytest.raises(ValueError, match="auto_label"):
        adjusted(mask, 0.4, mode="auto_label")


@pytest.mark.slow
@pytest.mark.parametrize(("largest", "shape"), [(0.8, (9, 12)), (2.0, (9, 12)), (4.0, (5, 3))])
def test_smoothing_is_a_gaussian_of_one_sigma_per_batch(float64, largest, shape):
    mask = masks_of(2, *shape).double()
    sigma = np.random.default_rng(3).uniform(0.5, largest)
    reach = tuple(min(int(np.ceil(3 * largest)), side - 1) for side in shape)
    want = torch.stack([naive.smooth(m, sigma, reach) for m in mask])
    out = adjusted(mask, 0.4, seed=3, mode="off", smooth_sigma=largest)
    torch.testing.assert_close(out, want)
    assert not torch.allclose(out, mask)


def test_sigma_of_the_smoothing_is_uniform():
    """Read off from how an impulse is spread."""
    impulse, rng = torch.zeros(1, 1, 25, 25), np.random.default_rng(0)
    impulse[0, 0, 12, 12] = 1
    options = {"mode": "off", "smooth_sigma": 2.0}
    offset = torch.arange(25) - 12.0
    sigmas = [
        (adjusted(impulse, 0.4, seed=rng, **options)[0, 0].sum(0) * offset**2).sum().sqrt().item()
        for _ in range(300)
    ]
    assert stats.kstest(sigmas, stats.uniform(0.5, 1.5).cdf).pvalue > 1e-3


def test_smoothing_comes_after_the_adjusting():
    """A pair of one label stays even, the mean of others was lam before; all stay in [0, 1]."""
    mask, alike = masks_of(4, 16, 16), torch.tensor([True, False, False, False])
    options = {"mode": "auto_label", "margin": 0.02}
    sigma = np.random.default_rng(0).uniform(0.5, 1.5)
    want = smooth(adjusted(mask, 0.4, alike, **options), 1.5, sigma)
    out = adjusted(mask, 0.4, alike, smooth_sigma=1.5, **options)
    assert torch.equal(out, want)
    torch.testing.assert_close(out[0], torch.full((1, 16, 16), 0.4))
    ones = adjusted(torch.ones(2, 1, 16, 16), 0.4, mode="off", smooth_sigma=1.5)
    assert ones.max() <= 1 and ones.min() > 1 - 1e-6


def test_smoothing_stays_float32_under_autocast():
    mask = masks_of(2, 16, 16)
    want = adjusted(mask, 0.4, smooth_sigma=1.5)
    with torch.autocast("cpu", torch.bfloat16):
        out = adjusted(mask, 0.4, smooth_sigma=1.5)
    assert out.dtype == torch.float32 and torch.equal(out, want)


def test_smoothing_wants_more_than_its_smallest_sigma():
    with pytest.raises(ValidationError, match="smooth_sigma"):
        MaskAdjustConfig(smooth_sigma=0.5)


def test_neither_loss_nor_adjusting_waits_for_the_device():
    """Fake tensors have no values: a look at one would raise."""
    with FakeTensorMode():
        mask, alike = torch.rand(3, 1, 8, 8), torch.zeros(3, dtype=torch.bool)
        for mode in MODES:
            loss_of(mask, 0.4, MaskLossConfig(mode=mode))
        for mode in ("auto", "prob", "auto_label", "off"):
            out = adjusted(mask, 0.4, alike, mode=mode, probability=1.0, smooth_sigma=1.5)
    assert out.shape == (3, 1, 8, 8)


@pytest.mark.parametrize("smooth_sigma", [None, 1.5])
@pytest.mark.parametrize("mode", ["auto", "prob", "auto_label", "off"])
@pytest.mark.parametrize(
    ("lam", "constant"),
    [(0.0, True), (0.05, True), (0.08, True), (0.0801, False), (0.95, True), (0.9, False)],
)
def test_lam_margin(mode, smooth_sigma, lam, constant):
    mask = masks_of(h=8)
    alike = torch.zeros(len(mask), dtype=torch.bool)
    out = adjusted(mask, lam, alike, mode=mode, smooth_sigma=smooth_sigma, lam_margin=0.08)
    assert torch.equal(out, torch.full_like(mask, lam)) == constant


def test_lam_margin_is_off_by_default():
    assert adjusted(masks_of(), 0.0, mode="off").std() > 0
