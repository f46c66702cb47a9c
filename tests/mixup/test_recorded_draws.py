"""Draws of every policy and its results, compared with a recording: equal seeds keep their draws.

Exact on every machine: the numbers drawn, the final state of the generator, and the pairs.
Exact on the recording's processor and torch, to 1e-5 elsewhere: weights of labels, mixed images and features.

A policy that is added needs no recording. One that draws differently by intent is recorded again, with all
others, by `PYTHONPATH=tests python tests/mixup/test_recorded_draws.py`.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.all_policies import (
    GRID,
    LAMS,
    SIZE,
    N,
    cases,
    images_and_info,
    outputs_of_a_network,
    policy_of,
)
from samix.core.step import BatchShape
from samix.mixup import (
    draw_lam,
    draw_local_pairing,
    draw_policy,
    expanded,
    mix,
)

pytestmark = pytest.mark.filterwarnings("ignore:TF32")  # a warning of torch without Intel's GPUs
RECORDED = Path(__file__).with_name("recorded_draws.json")
SEEDS = (0, 1, 2)
DRAWING = ["beta", "choice", "dirichlet", "integers", "normal", "permutation", "random", "uniform"]
RECORDING = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"cases": {}}


def processor():
    """The processor model and the version of torch, on which the bits of a sum depend."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    model = next((line for line in lines if line.startswith("model name")), "")
    return " ".join([model.partition(":")[2].strip(), torch.__version__.partition("+")[0]])


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


def run(policy, seed, lam):
    """Log, index (K, N), weights (K, N) float32, images and features of one batch, drawn as by mix_batch."""
    rng = Logged(seed)
    images, info = images_and_info(policy)
    shape = BatchShape(N, SIZE, SIZE, (GRID, GRID), ((4, 12, 12),) * 2)
    order = torch.Generator().manual_seed(int(rng.integers(2**63)))
    lam = draw_lam(0.7, rng) if lam is None else lam
    drawn = draw_policy(policy, lam, rng, shape, lambda member: draw_local_pairing(N, order, no_repeat=True))
    draws = expanded(policy, drawn, shape, images.device)
    mixed, features = mix(policy, images, draws, info), None
    weights = mixed.weights
    if mixed.features is not None:
        features = torch.randn(N, 4, 12, 12, generator=torch.Generator().manual_seed(9))
        features = mixed.features.blend(features, features[mixed.index[1]])
    if not mixed.final:
        weights = policy.member(draws.member).reweight(mixed, outputs_of_a_network())
    beside = None if mixed.extra is None else mixed.extra[1].images
    return rng, mixed.index, weights, {"images": mixed.images, "beside": beside, "features": features}


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
