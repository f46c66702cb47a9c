"""Mixers of a few channels, their maps and their options, for the tests."""

import numpy as np
import torch

from samix.config.networks import MixerConfig
from samix.mixup import Mixer

AUTOMIX = {"attention": "separate", "content": "linear", "upsample": "nearest", "encoding": "concat"}
OPTIONS = [
    {},
    {"rescale_k": 0.25},
    {"gamma": "fixed"},
    {"sigmoid_first": True},
    {"activation": "relu"},
    {"upsample": "nearest"},
    {"upsample": "bicubic"},
    {"upsample": "bicubic", "sigmoid_first": True},
    {"encoding": "concat"},
    {"encoding": "none"},
    {"attention": "separate"},
    {"content": "linear"},
    {"norm": "layer"},
    {"qk_norm": True},
    {"qk_norm": True, "attention": "separate", "encoding": "concat"},
    {"norm": "layer", "activation": "relu", "encoding": "concat"},
    AUTOMIX,
    AUTOMIX | {"encoding": "none"},
]


def maps_of(n=3, channels=6, h=3, w=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, n, channels, h, w, generator=generator, dtype=torch.get_default_dtype())


def mixer_of(config=None, channels=6, std=0.6):
    """A Mixer far from its initial state, so that its masks are not flat."""
    mixer = Mixer(channels, config or MixerConfig())
    generator = torch.Generator().manual_seed(1)
    for parameter in mixer.parameters():
        parameter.data.normal_(std=std, generator=generator)
    if mixer.config.qk_norm:
        for projection in filter(None, (mixer.query, mixer.key)):
            projection[1].weight.data.mul_(3)
    for name, statistic in mixer.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            statistic.uniform_(0.5, 1.5, generator=generator)
    if isinstance(mixer.gamma, torch.nn.Parameter):
        mixer.gamma.data.fill_(0.7)
    return mixer


def mapped(mixer, first, second, lam, size, rng=0):
    """The Mixer's output for maps of both parents, by draws made for lam; rng: a seed or a generator."""
    return mixer(first, second, mixer.draw(np.random.default_rng(rng), lam), size)
