"""AttentiveMix cell by cell, the network it asks, and that it stays frozen."""

import copy
import math

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_batch
from helpers.no_sync import NoSync
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import save_weights
from samix.mixup import AttentiveMix
from samix.nn import build_backbone

TINY = BackboneConfig(channels=(4, 4, 6, 8))


class Cells(torch.nn.Module):
    """Two channels whose mean is that of each of 7 x 7 parts of the image."""

    def __init__(self, cells=7):
        super().__init__()
        self.cells = cells
        self.signs = torch.nn.Parameter(torch.tensor([3.0, -1.0]).view(1, 2, 1, 1))
        self.norm = torch.nn.BatchNorm2d(2)

    def forward(self, images):
        parts = torch.nn.functional.adaptive_avg_pool2d(images, self.cells).mean(1, keepdim=True)
        return self.norm(parts.expand(-1, 2, -1, -1)) * self.signs


def random_images(n, height, width, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def mixed(policy, images, lam):
    return mixed_batch(policy, images, lam, rng=None)


def naive_kept(image, count, cells=7):
    """Numbers of the cells with the largest means; image (3, H, W), sides that are multiples of cells."""
    height, width = image.shape[1] // cells, image.shape[2] // cells
    means = {
        (i, j): image[:, i * height : (i + 1) * height, j * width : (j + 1) * width].double().mean().item()
        for i, j in np.ndindex(cells, cells)
    }
    return set(sorted(means, key=means.get)[-count:])


@pytest.mark.parametrize(
    ("lam", "cells", "count"),
    [
        (0.5, None, 24),
        (0.0, None, 1),
        (0.03, None, 1),
        (1.0, None, 49),
        (0.99, None, 48),
        (0.5, 6, 6),
        (0.1, 60, 49),
    ],
)
def test_values_cell_by_cell(lam, cells, count):
    images = random_images(3, 14, 21)
    out = mixed(AttentiveMix(network=Cells(), cells=cells), images, lam)
    for n in range(3):
        kept = naive_kept(images[n], count)
        for y, x in np.ndindex(14, 21):
            own = (y // 2, x // 3) in kept
            assert out.mask[n, 0, y, x] == own
            assert torch.equal(out.images[n, :, y, x], images[n if own else n - 1, :, y, x])
        share = count / 49
        assert out.weights[:, n].tolist() == pytest.approx([share, 1 - share], abs=1e-6)


def test_sides_that_seven_does_not_divide():
    """Cells are of different sizes there, so the share differs from sample to sample."""
    images = random_images(20, 32, 32)
    out = mixed(AttentiveMix(network=Cells()), images, 0.5)
    for n in range(20):
        pixels = sum(out.mask[n, 0, y, x].item() for y, x in np.ndindex(32, 32))
        share = pixels / 32**2
        assert out.weights[:, n].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
        assert abs(out.weights[0, n].item() - 24 / 49) < 0.05
    assert len(out.weights[0].unique()) > 1


def saved(path):
    torch.manual_seed(0)
    backbone = build_backbone(TINY)
    tensors = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    statistics = {"mean": [0.5] * 3, "std": [0.2] * 3}
    about = {"kind": "backbone", "backbone": TINY.model_dump(mode="json"), **statistics}
    save_weights(path, tensors, about)
    return backbone.eval()


def test_weights_of_this_project(tmp_path):
    backbone = saved(tmp_path / "w.safetensors")
    policy = AttentiveMix(weights=str(tmp_path / "w.safetensors"), size=48, mean=(0.5,) * 3, std=(0.2,) * 3)
    images = random_images(3, 32, 32)
    attention = backbone.last_map(torch.nn.functional.interpolate(images, (48, 48), mode="bilinear")).mean(1)
    count = int(attention[0].numel() * 0.5)
    out = mixed(policy, images, 0.5)
    for n in range(3):
        order = attention[n].flatten().argsort(descending=True)[:count].tolist()
        side = attention.shape[1]
        kept = {divmod(place, side) for place in order}
        for y, x in np.ndindex(32, 32):
            assert out.mask[n, 0, y, x] == ((y * side // 32, x * side // 32) in kept)


def test_weights_of_timm_and_images_as_it_knows_them(tmp_path):
    torch.manual_seed(1)
    net = timm.create_model("test_resnet").eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    given = {"backbone": "test_resnet", "weights": str(tmp_path / "w.pth"), "size": 160}
    about = timm.get_pretrained_cfg("test_resnet")
    images = random_images(4, 32, 32)
    known = (images - torch.tensor(about.mean).view(3, 1, 1)) / torch.tensor(about.std).view(3, 1, 1)
    masks = [
        mixed(policy, shown, 0.4).mask
        for policy, shown in (
            (AttentiveMix(**given), known),
            (AttentiveMix(**given, mean=(0.0,) * 3, std=(1.0,) * 3), images),
        )
    ]
    assert torch.equal(*masks)
    wide = torch.nn.functional.interpolate(known, (160, 160), mode="bilinear")
    top = net.forward_features(wide).mean(1).flatten(1).argmax(1)
    one = mixed(AttentiveMix(**given, cells=1), known, 0.4)
    for n in range(4):
        i, j = divmod(top[n].item(), 5)
        assert one.mask[n, 0, math.ceil(i * 32 / 5), math.ceil(j * 32 / 5)] == 1


def test_it_stays_frozen():
    network = Cells()
    policy = AttentiveMix(network=network)
    before = copy.deepcopy(policy.state_dict())
    host = torch.nn.Sequential(policy, torch.nn.Linear(2, 2)).train()
    assert host.training and not any(module.training for module in policy.modules())
    assert not any(parameter.requires_grad for parameter in policy.parameters())
    images = random_images(4, 14, 14).requires_grad_()
    assert not mixed(policy, images, 0.5).images.requires_grad
    assert "network.norm.running_mean" in before
    assert all(torch.equal(value, before[key]) for key, value in policy.state_dict().items())
    assert policy.to(torch.float64).network.signs.dtype == torch.float64


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    cells=st.sampled_from([None, 1, 6]),
)
def test_any_size(n, size, lam, cells):
    images = random_images(n, *size)
    before = images.clone()
    policy = AttentiveMix(network=Cells(3), cells=cells)
    out = mixed(policy, images, lam)
    assert torch.equal(images, before) and torch.equal(out.images, mixed(policy, images, lam).images)
    assert out.mask.shape == (n, 1, *size) and set(out.mask.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(out.images, torch.where(out.mask.bool(), images, images.roll(1, 0)))
    torch.testing.assert_close(out.weights[0], out.mask.mean((1, 2, 3)))
    assert torch.equal(out.weights[1], 1 - out.weights[0])
    if lam == 1 and cells is None:
        assert torch.equal(out.images, images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    out = mixed(AttentiveMix(network=Cells()), random_images(3, 14, 14).to(dtype), 0.4)
    assert out.images.dtype == dtype and out.mask.dtype == out.weights.dtype == torch.float32


def test_nothing_waits_for_the_device():
    images, policy = random_images(3, 14, 14), AttentiveMix(network=Cells())
    with NoSync():
        mixed(policy, images, 0.4)
    assert mixed(policy.to("meta"), images.to("meta"), 0.4).images.device.type == "meta"


def test_mistakes(tmp_path):
    with pytest.raises(ConfigError, match="mean and std"):
        AttentiveMix(mean=(0.5, 0.5, 0.5))
    with pytest.raises(ConfigError, match="cells 0"):
        AttentiveMix(cells=0, network=Cells())
    with pytest.raises(ConfigError, match="size 0"):
        AttentiveMix(size=0)
    with pytest.raises(ConfigError, match="no model 'resnet19'"):
        AttentiveMix("resnet19")
    with pytest.raises(DataError, match="no file .*nowhere"):
        AttentiveMix(weights=str(tmp_path / "nowhere.safetensors"))
