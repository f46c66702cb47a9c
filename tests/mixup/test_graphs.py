"""How many graphs each policy compiles to: one, one per value of a drawn flag, or none with the reason."""

import numpy as np
import pytest
import torch
from torch._dynamo.backends.debugging import aot_eager
from torch._dynamo.exc import InternalTorchDynamoError, Unsupported

from helpers.all_policies import GRID, N, images_and_info, outputs_of_a_network, policy_of
from helpers.mixing import draws_of
from samix.mixup import POLICIES, for_graph, mix

pytestmark = pytest.mark.compile

FEATURES = (4, 12, 12)
LAMS = (0.4, 0.7, 0.2)
ONE = [
    "mixup",
    "cutmix",
    "fmix",
    "gridmix",
    "resizemix",
    "smoothmix",
    "saliencymix",
    "guidedmixup",
    "comixup",
    "stackmix",
    "transmix",
    "tokenmix",
    "tla",
    "mixpro",
    "inter_intra",
    "automix",
    "adautomix",
    "samix",
    "samix_p",
]
FLAGS = {  # policy: (flag, number of its values with the options and sizes here)
    "manifoldmix": ("stage whose features are mixed", 3),
    "patchup": ("place of the mix, and its mask's kind", 3),
    "alignmix": ("the parent that moves", 2),
    "saliency_grafting": ("side of the grid of regions", 4),
    "smmix": ("side of the window", 3),
    "random_choice": ("member", 2),
}
EAGER = {
    "puzzlemix": "a host solver cuts the graph of blocks",
    "supermix": "torch.autograd.grad inside the mix",
    "augmix": "the rows of each operation are drawn, and so are sizes of tensors",
    "pixmix": "as augmix",
    "attentivemix": "k of topk follows lam: a graph per lam",
    "snapmix": "sizes of both boxes are drawn: a graph per pair of boxes",
}
REFUSED = ["puzzlemix", "supermix", "augmix", "pixmix"]
PER_DRAW = ["attentivemix", "snapmix"]


class Mixing:
    """A policy with all that follows from a mix: images, weights before and after the pass, features."""

    def __init__(self, name, folder):
        torch._dynamo.reset()
        self.policy, self.graphs = policy_of(name, {}, folder), 0
        self.images, self.info = images_and_info(self.policy)
        self.outputs = outputs_of_a_network()
        self.features = torch.randn(2, N, *FEATURES, generator=torch.Generator().manual_seed(3))
        self.compiled = torch.compile(self.eager, backend=self.counted, fullgraph=True, dynamic=False)

    def counted(self, graph, inputs):
        compiled = aot_eager(graph, inputs)
        self.graphs += 1
        return compiled

    def eager(self, draws, images):
        out = mix(self.policy, images, draws, self.info)
        weights = self.policy.member(draws.member).reweight(out, self.outputs)
        features = None if out.features is None else out.features.blend(*self.features)
        return out.images, out.weights, weights, features

    def compare(self, seed, lam):
        draws = draws_of(
            self.policy,
            self.images,
            lam,
            np.random.default_rng(seed),
            grid=(GRID, GRID),
            features=(FEATURES,) * 2,
        )
        found, expected = (run(for_graph(draws), self.images) for run in (self.compiled, self.eager))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(autouse=True)
def constants():
    """Python numbers of a graph are constants: another value compiles again."""
    with torch._dynamo.config.patch(specialize_float=True, recompile_limit=64):
        yield
    torch._dynamo.reset()


def test_the_table_has_every_policy():
    assert sorted([*ONE, *FLAGS, *EAGER]) == sorted(POLICIES)
    assert sorted(REFUSED + PER_DRAW) == sorted(EAGER)


@pytest.mark.parametrize(("name", "graphs"), [(name, 1) for name in ONE] + [(n, FLAGS[n][1]) for n in FLAGS])
def test_graphs_of_a_policy(name, graphs, tmp_path):
    """Twelve draws at three lam; equal to eager each time."""
    mixing = Mixing(name, tmp_path)
    for seed in range(12):
        mixing.compare(seed, LAMS[seed % len(LAMS)])
    assert mixing.graphs == graphs


@pytest.mark.parametrize("name", REFUSED)
def test_policies_that_cannot_be_one_graph(name, tmp_path):
    with pytest.raises((Unsupported, InternalTorchDynamoError)):
        Mixing(name, tmp_path).compare(0, 0.4)


@pytest.mark.parametrize("name", PER_DRAW)
def test_policies_that_compile_again_for_other_draws(name, tmp_path):
    mixing = Mixing(name, tmp_path)
    for seed, lam in enumerate(LAMS):
        mixing.compare(seed, lam)
    assert mixing.graphs == len(LAMS)
