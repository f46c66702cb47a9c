"""Strided 1x1 convolutions of few channels, whose backward pass crashes in torch's own form."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from samix.config.networks import BackboneConfig
from samix.nn import build_backbone
from samix.nn.narrow import SubsampledConv2d, subsample_narrow_convolutions

pytestmark = pytest.mark.slow

STEPS = """
import sys, torch
from samix.config.networks import BackboneConfig
from samix.nn import build_backbone
torch.set_num_threads(1)
widths, size, images = [eval(word) for word in sys.argv[1:]]
net = build_backbone(BackboneConfig(channels=widths))
for _ in range(6):
    net(torch.randn(images, 3, size, size)).pooled.square().sum().backward()
"""


@pytest.mark.parametrize(
    ("widths", "size", "images"),
    [((4, 4, 8, 8), 32, 8), ((8, 8, 16, 16), 96, 4), ((12, 12, 24, 24), 64, 4), ((6, 10, 14, 18), 48, 5)],
)
def test_narrow_backbones_train(widths, size, images):
    """In a process of its own: a crash would end this one."""
    arguments = [sys.executable, "-c", STEPS, str(widths), str(size), str(images)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("stride", [2, (2, 1), (3, 2)])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)])
def test_equal_to_the_strided_convolution(stride, size, float64):
    torch.manual_seed(0)
    own = nn.Sequential(nn.Conv2d(6, 10, 1, stride=stride, groups=2))
    x = torch.randn(3, 6, *size, requires_grad=True)
    weight, bias = own[0].weight, own[0].bias
    # contiguous, which does not crash
    want = torch.nn.functional.conv2d(x, weight, bias, stride=stride, groups=2)
    subsample_narrow_convolutions(own)
    assert type(own[0]) is SubsampledConv2d
    got = own(x)
    torch.testing.assert_close(got, want)
    upstream = torch.randn_like(want)
    grads = [torch.autograd.grad(out, (x, weight, bias), upstream) for out in (got, want)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_only_layers_that_crash_are_replaced():
    wide = build_backbone(BackboneConfig(channels=(16, 16, 32, 64)))
    assert not any(isinstance(module, SubsampledConv2d) for module in wide.modules())
    narrow = build_backbone(BackboneConfig(channels=(16, 24, 32, 64)))
    replaced = [module for module in narrow.modules() if isinstance(module, SubsampledConv2d)]
    assert [(module.in_channels, module.out_channels) for module in replaced] == [(16, 24), (24, 32)]
    assert all(module.kernel_size == (1, 1) for module in replaced)
