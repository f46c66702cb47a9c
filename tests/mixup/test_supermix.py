"""SuperMix: one Newton step against finite differences in float64, and what its masks must do."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.mixing import float32, lam_of, mixed_pairs
from helpers.no_sync import NoSync
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.core.weights import save_weights
from samix.mixup.policies.supermix import SuperMix
from samix.nn import build_backbone


def teacher(seed=0, classes=5):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    return nn.Sequential(net, nn.Linear(32, classes)).apply(_strong)


def _strong(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=3.0)


def batch(n=4, size=(12, 10), seed=0):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def mixed(policy, images, lam=0.4, seed=0):
    return mixed_pairs(policy, images, images.roll(1, 0), lam, seed)


def total(net, images, shares, masks, sparsity):
    """KL and distance from 0 and 1, of each sample, in float64; images (K, N, 3, H, W), shares (K, N)."""
    net = net.double().eval()
    images, masks, shares = images.double(), masks.double(), shares.double()
    target = sum(share[:, None] * net(x).softmax(1) for share, x in zip(shares, images, strict=True))
    seen = net(sum(m * x for m, x in zip(masks, images, strict=True))).softmax(1)
    apart = (target * (target / seen).log()).sum(1)
    undecided = (1 - (masks**2).sum(0)).mean((1, 2, 3)) * len(images) / (len(images) - 1)
    found = apart + sparsity * undecided
    net.float()
    return found


def naive_masks(logits):
    """Logits (K, h, w) as nested lists -> masks: 5-tap Gaussian, edges repeated, then a softmax over K."""
    taps = [math.exp(-(t**2) / 2) for t in range(-2, 3)]
    height, width = len(logits[0]), len(logits[0][0])
    smooth = []
    for plane in logits:
        smooth.append([[0.0] * width for _ in range(height)])
        for y, x, dy, dx in itertools.product(range(height), range(width), range(-2, 3), range(-2, 3)):
            value = plane[min(height - 1, max(0, y + dy))][min(width - 1, max(0, x + dx))]
            smooth[-1][y][x] += value * taps[dy + 2] * taps[dx + 2] / sum(taps) ** 2
    return torch.tensor(smooth, dtype=torch.float64).softmax(0)


@pytest.mark.parametrize(("sparsity", "lam"), [(0.0, 0.3), (1.0, 0.3), (0.2, 0.55)])
def test_one_step_by_finite_differences(sparsity, lam):
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    nn.init.normal_(net[1].weight, std=0.3, generator=torch.Generator().manual_seed(1))
    images = torch.stack([batch(1, (4, 4), 1), batch(1, (4, 4), 2)])
    shares = torch.tensor([[lam], [1 - lam]])
    masks = SuperMix(network=net, steps=1, sparsity=sparsity).masks(images, shares)

    def value(logits):
        found = naive_masks(logits.view(2, 4, 4).tolist())[:, None, None]
        return total(net, images, shares, found, sparsity).item()

    start = shares.double().log().expand(2, 16).flatten()
    moves = torch.eye(32).double() * 1e-5
    slope = torch.tensor([(value(start + d) - value(start - d)) / 2e-5 for d in moves], dtype=torch.float64)
    step = value(start) / (slope**2).sum() * slope
    after = start - step * min(1.0, 1.0 / (step**2).mean().sqrt().item())
    kept = after if value(after) < value(start) else start
    want = naive_masks(kept.view(2, 4, 4).tolist())
    torch.testing.assert_close(masks[:, 0, 0].double(), want, atol=2e-4, rtol=0)
    assert value(after) < value(start)


@pytest.mark.parametrize("images", [2, 3])
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_more_steps_are_never_worse_than_plain_mixup(images, sparsity):
    net = teacher()
    many = torch.stack([batch(6, (20, 18), seed) for seed in range(images)])
    shares = torch.tensor(np.random.default_rng(0).dirichlet([3] * images, 6).T, dtype=torch.float32)
    plain = shares[:, :, None, None, None].expand(-1, -1, 1, 20, 18)
    losses = [total(net, many, shares, plain, sparsity)]
    for steps in (1, 3, 10):
        masks = SuperMix(network=net, steps=steps, sparsity=sparsity).masks(many, shares)
        torch.testing.assert_close(masks.sum(0), torch.ones(6, 1, 20, 18))
        assert masks.min() >= 0
        losses.append(total(net, many, shares, masks, sparsity))
    for before, after in itertools.pairwise(losses):
        assert (after <= before + 1e-4).all()
    assert losses[-1].mean() < 0.5 * losses[0].mean()


def test_sparse_masks_come_near_0_and_1():
    many, shares = torch.stack([batch(4, seed=1), batch(4, seed=2)]), torch.full((2, 4), 0.5)
    undecided = [
        1 - (SuperMix(network=teacher(), sparsity=weight).masks(many, shares) ** 2).sum(0).mean()
        for weight in (0.0, 3.0)
    ]
    assert undecided[1] < 0.5 * undecided[0]


def test_two_images():
    images, policy = batch(), SuperMix(network=teacher())
    before = images.clone()
    out = mixed(policy, images, 0.4)
    assert torch.equal(images, before) and lam_of(out) == float32(0.4) and out.own_first
    shares = torch.tensor([0.4, 0.6])[:, None].expand(2, 4)
    want = policy.masks(torch.stack([images, images.roll(1, 0)]), shares)
    torch.testing.assert_close(out.mask, want[0])
    torch.testing.assert_close(out.images, want[0] * images + want[1] * images.roll(1, 0))
    assert not policy.many_parents and out.mask.std() > 0.01


def test_three_images_are_three():
    images, policy = batch(7), SuperMix(network=teacher(), images=3)
    lam = np.linspace(0.1, 0.9, 7)
    out = mixed(policy, images, lam, seed=3)
    index, shares = out.index, out.weights
    assert not out.own_first and not out.everywhere
    assert index[0].tolist() == list(range(7)) and policy.many_parents
    for row in index:
        assert sorted(row.tolist()) == list(range(7))
    assert all(len(set(column)) == 3 for column in index.T.tolist())
    torch.testing.assert_close(shares.sum(0), torch.ones(7))
    torch.testing.assert_close(shares[0], torch.tensor(lam, dtype=torch.float32))
    masks = policy.masks(images[index], shares)
    want = sum(masks[k] * images[index[k]] for k in range(3))
    torch.testing.assert_close(out.images, want)
    torch.testing.assert_close(out.mask, masks)


def test_the_split_of_three_is_symmetric_and_drawn_for_each():
    policy = SuperMix(network=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), images=3, steps=1)
    shares = mixed(policy, torch.rand(2000, 3, 1, 1), 0.2).weights
    split = shares[1] / 0.8
    assert split.mean().item() == pytest.approx(0.5, abs=0.02)
    assert split.var().item() == pytest.approx(1 / 28, rel=0.1)  # of Beta(3, 3)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_all_of_one_image(lam):
    images = batch()
    out = mixed(SuperMix(network=teacher()), images, lam)
    torch.testing.assert_close(out.images, images if lam else images.roll(1, 0), atol=1e-5, rtol=0)


def test_lam_of_each_sample():
    images, policy = batch(3), SuperMix(network=teacher())
    lams = np.array([0.2, 0.5, 0.9])
    together = mixed(policy, images, lams)
    torch.testing.assert_close(together.weights, torch.from_numpy(np.array([lams, 1 - lams])).float())
    for i, lam in enumerate(lams):
        torch.testing.assert_close(
            mixed(policy, images, float(lam)).mask[i], together.mask[i], atol=1e-4, rtol=0
        )


@settings(deadline=None, max_examples=20)
@given(
    n=st.integers(1, 4),
    h=st.integers(1, 20),
    w=st.integers(1, 20),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    k=st.sampled_from([2, 3]),
)
def test_any_size(n, h, w, lam, k):
    out = mixed(SuperMix(network=teacher(), images=k, steps=2), batch(n, (h, w)), lam)
    assert out.images.shape == (n, 3, h, w) and out.images.isfinite().all()
    if k == 2:
        assert out.mask.shape == (n, 1, h, w) and out.mask.min() >= 0 and out.mask.max() <= 1


@pytest.mark.parametrize("k", [2, 3])
def test_the_teacher_is_frozen_and_gradients_stay_inside(k):
    net = teacher()
    policy = SuperMix(network=net, images=k).train()
    assert not any(module.training for module in policy.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    before = [value.clone() for value in net.state_dict().values()]
    with torch.no_grad():
        quiet = mixed(policy, batch())
    out = mixed(policy, batch().requires_grad_())
    torch.testing.assert_close(out.images.detach(), quiet.images)
    assert all(torch.equal(a, b) for a, b in zip(before, net.state_dict().values(), strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mixed(policy, batch()).images, quiet.images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("k", [2, 3])
def test_images_keep_their_type(dtype, k):
    out = mixed(SuperMix(network=teacher(), images=k), batch().to(dtype))
    assert out.images.dtype == dtype and (k == 3 or out.mask.dtype == torch.float32)


def test_seeds_decide():
    one, two, other = (
        mixed(SuperMix(network=teacher(), images=3), batch(), seed=s).images for s in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("k", [2, 3])
def test_nothing_waits_for_the_device(k):
    policy, images = SuperMix(network=teacher(), images=k), batch()
    with NoSync():
        mixed(policy, images)


@pytest.mark.parametrize(
    "options", [{"images": 4}, {"steps": 0}, {"sparsity": -1.0}, {"mean": (0.5, 0.5, 0.5)}]
)
def test_refused_options(options):
    with pytest.raises(ConfigError, match="SuperMix: (images|mean and std)"):
        SuperMix(network=teacher(), **options)


def test_a_teacher_needs_classes(tmp_path):
    config = BackboneConfig(channels=(4, 4, 6, 8))
    tensors = {f"backbone.{key}": value for key, value in build_backbone(config).state_dict().items()}
    about = {"kind": "backbone", "backbone": config.model_dump(mode="json")}
    path = tmp_path / "encoder.safetensors"
    save_weights(path, tensors, about | {"mean": [0.5] * 3, "std": [0.2] * 3})
    with pytest.raises(ConfigError, match=r"encoder\.safetensors are an encoder's"):
        SuperMix(weights=str(path))
