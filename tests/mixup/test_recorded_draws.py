"""What every policy draws, and what it makes of that, as recorded: equal seeds keep their draws.

Exact on every machine: the numbers drawn, the final state of the generator, and the pairs.
Exact on the recording's processor and torch, to 1e-5 elsewhere: weights of labels, mixed images and features.

A policy that is added needs no recording. One that draws differently by intent is recorded anew, with all
others, by `python tests/mixup/test_recorded_draws.py`.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samix.config.adautomix import AdAutoMixConfig
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.mixup import POLICIES, AdAutoMix, Mixer, Outcome, RandomChoice, SAMix, Seen, mix_batch
from samix.mixup.adautomix import AdversarialMixer
from samix.mixup.table import example

pytestmark = pytest.mark.filterwarnings("ignore:TF32")  # a warning of torch without Intel's GPUs
RECORDED = Path(__file__).with_name("recorded_draws.json")
N, SIZE, GRID, SEEDS = 4, 64, 4, (0, 1, 2)
LAMS = np.array([0.1, 0.9, 0.35, 0.6])
DRAWING = ["beta", "choice", "dirichlet", "integers", "normal", "permutation", "random", "uniform"]
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
RECORDING = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"cases": {}}
PER_SAMPLE = [name for name in POLICIES if example(name).per_sample]


def processor():
    """What the bits of a sum depend on: the kind of processor and the version of torch."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    model = next((line for line in lines if line.startswith("model name")), "")
    return " ".join([model.partition(":")[2].strip(), torch.__version__.partition("+")[0]])


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


class Logged(np.random.Generator):
    """A generator that keeps what it has given."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(seed))
        self.log, self._inside = [], False


def _logging(name):
    drawing = getattr(np.random.Generator, name)

    def draw(self, *args, **kwargs):
        outer, self._inside = not self._inside, True
        try:
            given = drawing(self, *args, **kwargs)
        finally:
            self._inside = not outer
        if outer:
            self.log.append([name, readable(np.asarray(given))])
        return given

    return draw


for _name in DRAWING:
    setattr(Logged, _name, _logging(_name))


def readable(values):
    """Up to twelve numbers as they are; of more their shape and a hash."""
    return values.tolist() if values.size <= 12 else [list(values.shape), digest(values)]


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


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
    return torch.randn(N, 3, SIZE, SIZE, generator=generator), Seen(
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
    return Outcome(torch.randn(N, 3, generator=generator), attention, tuple(attentions))


def run(policy, seed, lam):
    """Log, index (K, N), weights (K, N) float32, images and features of one batch, by the present API."""
    generator = Logged(seed)
    images, seen = images_and_info(policy)
    batch = mix_batch(policy, images, generator, alpha=0.7, lam=lam, seen=seen)
    mixed, features = batch.mixed, None
    if mixed.inside is not None:
        features = torch.randn(N, 4, 12, 12, generator=torch.Generator().manual_seed(9))
        features = mixed.inside.blend(features, batch.pairing.of(features))
    if mixed.relabel is not None:
        mixed = mixed.relabel(outputs_of_a_network())
    if mixed.parents is not None:
        index, weights = mixed.parents.index, mixed.parents.shares
    else:
        rest = 1 - mixed.lam if mixed.lam_second is None else mixed.lam_second
        index = torch.stack([torch.arange(N), batch.pairing.index])
        weights = torch.stack([torch.as_tensor(w, dtype=torch.float32).expand(N) for w in (mixed.lam, rest)])
    beside = None if mixed.beside is None else mixed.beside[1].images
    return generator, index, weights, {"images": mixed.images, "beside": beside, "features": features}


def found(case, seed, folder):
    """All that is recorded, as JSON has it."""
    what, options, per_sample = case
    policy = policy_of(what, options, folder)
    with torch.backends.mkldnn.flags(enabled=False):  # whose sums depend on more than the processor's name
        generator, index, weights, tensors = run(policy, seed, LAMS if per_sample else None)
    tensors = {name: t.contiguous() for name, t in tensors.items() if t is not None}
    return json.loads(
        json.dumps(
            {
                "drawn": generator.log,
                "left": digest(np.frombuffer(repr(generator.bit_generator.state).encode(), np.uint8)),
                "index": index.tolist(),
                "weights": weights.tolist(),
                "looks": {name: look(t) for name, t in tensors.items()},
                "bits": {name: digest(t.numpy()) for name, t in (tensors | {"weights": weights}).items()},
            }
        )
    )


def look(tensor):
    """Two figures per image, which differ as soon as a pixel does."""
    flat = tensor.double().flatten(1)
    directions = torch.randn(
        flat.shape[1], 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return [
        [round(figure, 6) for figure in row] for row in (flat @ directions / flat.shape[1] ** 0.5).tolist()
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECORDING["cases"])
def test_draws_are_the_recorded_ones(name, seed, tmp_path):
    want, got = RECORDING["cases"][name][str(seed)], found(cases()[name], seed, tmp_path)
    for part in ("drawn", "left", "index"):
        assert got[part] == want[part], part
    if RECORDING["processor"] == processor():
        assert got["bits"] == want["bits"]
        return
    assert got["weights"] == [pytest.approx(row, abs=1e-5) for row in want["weights"]]
    assert got["looks"].keys() == want["looks"].keys()
    for part, figures in want["looks"].items():
        assert got["looks"][part] == [pytest.approx(row, abs=1e-5) for row in figures]


def test_all_seeds_draw_differently():
    different = {name: {one["left"] for one in seeds.values()} for name, seeds in RECORDING["cases"].items()}
    assert all(len(states) == len(SEEDS) for states in different.values())


if __name__ == "__main__":
    import tempfile

    torch.set_num_threads(1)
    rows = {}
    for _case, _what in cases().items():
        with tempfile.TemporaryDirectory() as _folder:
            rows[_case] = {seed: found(_what, seed, Path(_folder)) for seed in SEEDS}
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    text = f'{{"processor": {json.dumps(processor())}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
    RECORDED.write_text(text)
