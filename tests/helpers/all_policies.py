"""All policies with their options, a batch for each, and the outputs of a network for the mixed images."""

import numpy as np
import torch
from PIL import Image

from samix.config.adautomix import AdAutoMixConfig
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.mixup import POLICIES, AdAutoMix, ImageInfo, Mixer, ModelOutputs, RandomChoice, SAMix
from samix.mixup.policies.adautomix import AdversarialMixer
from samix.mixup.table import example

N, SIZE, GRID = 4, 64, 4
LAMS = np.array([0.1, 0.9, 0.35, 0.6])
OPTIONS = {  # those that change what is drawn
    "gridmix": [{"form": "cells"}],
    "resizemix": [{"size": "draw", "scope": (0.4, 0.6)}, {"size": "scope"}],
    "fmix": [{"spectrum": "full", "max_soft": 0.2}],
    "patchup": [{"kind": "hard", "probability": 1.0}],
    "augmix": [{"all_operations": True}],
    "guidedmixup": [{"saliency": "sr"}],
    "pixmix": [{"pictures": "here"}],
    "tokenmix": [{"mask": "random", "label": "area"}],
    "puzzlemix": [{"solver": "descent"}],
}
PER_SAMPLE = [name for name in POLICIES if example(name).per_sample]


def cases():
    """Policy, options and whether lam is one per sample, by a readable name."""
    plain = {name: (name, {}, False) for name in POLICIES}
    more = {f"{name} {given}": (name, given, False) for name, options in OPTIONS.items() for given in options}
    return plain | more | {f"{name}, lam per sample": (name, {}, True) for name in PER_SAMPLE} | SPECIAL


def _supermix():
    return type(example("supermix"))(network=example("supermix").network, images=3)


def _lists():
    config = MixerConfig(rescale_k=(0.25, 0.5, -1.0), upsample=("bilinear", "nearest"))
    return SAMix(Mixer(8, config), MaskAdjustConfig(mode="prob", probability=0.5, smooth_sigma=1.0))


SPECIAL = {
    "supermix of three": (_supermix, {}, False),
    "samix with lists": (_lists, {}, False),
    "adautomix of two or three": (
        lambda: AdAutoMix(AdversarialMixer(6, 0.3), AdAutoMixConfig(random_parents=True)),
        {},
        False,
    ),
    "choice of three": (
        lambda: RandomChoice(("resizemix", "fmix", "smoothmix"), (None, 1.0, 0.5), (0.5, 0.25, 0.25)),
        {},
        False,
    ),
}


def policy_of(what, options, folder):
    torch.manual_seed(0)
    if not isinstance(what, str):
        return what().eval()
    if "pictures" in options:
        pixels = np.random.default_rng(5).integers(256, size=(3, 90, 110, 3), dtype=np.uint8)
        for number, picture in enumerate(pixels):
            Image.fromarray(picture).save(folder / f"{number}.png")
        options = {"pictures": str(folder)}
    return (POLICIES[what](**options) if options else example(what)).eval()


def images_and_info(policy):
    """A batch, and all that a policy may need to know of it."""
    generator = torch.Generator().manual_seed(7)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    channels = 6 if isinstance(policy, AdAutoMix) else 8
    return torch.randn(N, 3, SIZE, SIZE, generator=generator), ImageInfo(
        maps=rand(N, channels, GRID, GRID),
        labels=torch.tensor([0, 1, 2, 1]),
        saliency=rand(N, 1, SIZE, SIZE),
        feature_saliency=rand(N, 1, SIZE, SIZE),
        cam=rand(N, 1, GRID, GRID),
        attention=rand(N, 1, GRID, GRID),
    )


def outputs_of_a_network():
    """Logits of the mixed images, attention to patches, and attention of all blocks."""
    generator = torch.Generator().manual_seed(8)
    tokens = GRID * GRID + 1
    attentions = [torch.rand(N, tokens, tokens, generator=generator).softmax(-1) for _ in range(2)]
    attention = attentions[-1][:, :1, 1:].reshape(N, 1, GRID, GRID)
    return ModelOutputs(torch.randn(N, 3, generator=generator), attention, tuple(attentions))
