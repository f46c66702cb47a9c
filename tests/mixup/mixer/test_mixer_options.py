"""The Mixer's options: names of weights, draws, refused settings, and numerical edge cases."""

from collections import Counter

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import conv2d

from helpers.tiny_mixer import AUTOMIX, OPTIONS, mapped, maps_of, mixer_of
from samix.config.networks import MixerConfig
from samix.mixup import Mixer

SAMIX_TENSORS = {
    "gamma": (),
    "query.weight": (3, 12, 1, 1),
    "query.bias": (3,),
    "key.weight": (3, 12, 1, 1),
    "key.bias": (3,),
    "content.0.weight": (3, 6, 1, 1),
    "content.1.weight": (3,),
    "content.1.bias": (3,),
    "content.1.running_mean": (3,),
    "content.1.running_var": (3,),
    "content.1.num_batches_tracked": (),
    "content.3.weight": (1, 3, 1, 1),
}
AUTOMIX_TENSORS = {
    "query.weight": (3, 7, 1, 1),
    "query.bias": (3,),
    "content.0.weight": (1, 7, 1, 1),
    "content.0.bias": (1,),
}


@pytest.mark.parametrize(
    ("options", "tensors"),
    [({}, SAMIX_TENSORS), ({"gamma": "fixed"}, SAMIX_TENSORS), (AUTOMIX, AUTOMIX_TENSORS)],
)
def test_names_in_weight_files(options, tensors):
    """Files that exist name them so; AutoMix's MixBlock has one convolution for queries and keys."""
    state = Mixer(6, MixerConfig(**options)).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == tensors


@pytest.mark.parametrize("encoding", ["concat", "none"])
def test_without_scaling_there_is_no_gamma(encoding):
    mixer = mixer_of(MixerConfig(encoding=encoding, rescale_k=0.25)).eval()
    assert mixer.gamma is None and "gamma" not in mixer.state_dict()
    mixer.clamp_gamma()
    first, second = maps_of()
    low, high = (mapped(mixer, first, second, lam, (6, 8)).mask for lam in (0.1, 0.9))
    assert torch.equal(low, high) == (encoding == "none")


def test_appended_channel_is_lam_itself(float64):
    """Rescaling is for the scaled maps alone."""
    first, second = maps_of()
    mixer = mixer_of(MixerConfig(**AUTOMIX, rescale_k=0.25)).eval()
    weight, bias = mixer.content[0].weight, mixer.content[0].bias
    content = conv2d(second, weight[:, :6], bias) + weight[:, 6:] * 0.8
    torch.testing.assert_close(mapped(mixer, first, second, 0.2, (6, 8)).content, content)


LISTS = [
    {"upsample": ["bilinear", "nearest", "bicubic"]},
    {"rescale_k": [-1.0, 0.0, 0.25]},
    {"upsample": ["nearest", "bilinear"], "rescale_k": [0.0, 4.0]},
]


@pytest.mark.parametrize("options", LISTS, ids=str)
def test_lists_are_drawn_from(options):
    """Each call is that of one entry; all come up, and again the same from the same generator."""
    mixer = mixer_of(MixerConfig(**options)).eval()
    first, second = maps_of()
    single = {}
    for mode in options.get("upsample", ["bilinear"]):
        for k in options.get("rescale_k", [-1.0]):
            alone = mixer_of(MixerConfig(upsample=mode, rescale_k=k)).eval()
            single[mode, k] = mapped(alone, first, second, 0.3, (6, 8)).mask

    def entries(seed, calls):
        rng = np.random.default_rng(seed)
        for _ in range(calls):
            mask = mapped(mixer, first, second, 0.3, (6, 8), rng).mask
            (entry,) = [key for key, want in single.items() if torch.equal(mask, want)]
            yield entry

    count = Counter(entries(1, 200))
    assert set(count) == set(single)
    assert min(count.values()) > 200 / len(single) / 2
    assert list(entries(2, 10)) == list(entries(2, 10))


def test_nothing_is_drawn_without_lists():
    rng = np.random.default_rng(0)
    mapped(mixer_of(), *maps_of(), 0.3, (6, 8), rng)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    "options",
    [
        {"rescale_k": -0.5},
        {"rescale_k": 11},
        {"rescale_k": [0.25, -1 / 3]},
        {"rescale_k": []},
        {"upsample": []},
        {"upsample": ["linear"]},
        {"encoding": "sum"},
    ],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        MixerConfig(**options)


@pytest.mark.parametrize("options", [{"upsample": ("nearest", "bicubic"), "rescale_k": (0.25, 1.0)}, AUTOMIX])
def test_options_survive_json(options):
    config = MixerConfig(**options)
    assert MixerConfig(**config.model_dump(mode="json")) == config


def test_nan_maps_leave_the_first_image(float64):
    """The mask stays finite, and other samples are as without the spoilt one."""
    mixer = mixer_of().eval()
    maps = maps_of()
    want = mapped(mixer, *maps, 0.3, (6, 8)).mask
    maps[1, 0, 2, 1, 1] = torch.nan
    mask = mapped(mixer, *maps, 0.3, (6, 8)).mask
    torch.testing.assert_close(mask[1:], want[1:])
    torch.testing.assert_close(mask[0], torch.full((1, 6, 8), 1 - 1e-4))


def test_infinite_logits_are_clamped():
    """The row then looks at the largest logits alone, evenly where several are beyond the limit."""
    mixer = mixer_of(channels=2).eval()
    for conv, weights in ((mixer.query, [1e25, 0, 0, 0]), (mixer.key, [0, 0, 1e25, 0])):
        conv.weight.data = torch.tensor(weights).view(1, 4, 1, 1)
    first, second = torch.ones(2, 1, 2, 1, 4)
    second[0, 0, 0] = torch.tensor([-1.0, 2.0, 1.0, 0.0])
    out = mapped(mixer, first, second, 0.5, (4, 16))
    assert (mixer.query.weight[0, 0] * mixer.key.weight[0, 2]).isinf()
    torch.testing.assert_close(out.attention[0], torch.tensor([0, 0.5, 0.5, 0]).expand(4, 4))
    assert out.mask.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("options", [*OPTIONS, *LISTS], ids=str)
def test_the_device_is_not_waited_for(options):
    """Fake tensors have no values: a look at one would raise."""
    with FakeTensorMode():
        mixer = Mixer(6, MixerConfig(**options))
        out = mapped(mixer, torch.randn(3, 6, 3, 4), torch.randn(3, 6, 3, 4), 0.3, (6, 8))
        out.mask.sum().backward()
        mixer.clamp_gamma()
    assert out.mask.shape == (3, 1, 6, 8)
