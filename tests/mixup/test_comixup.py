"""Co-Mixup: its energy in loops, its search against all labellings, its images pixel by pixel."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_pairs
from helpers.no_sync import NoSync
from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup import CoMixup, ImageInfo, PairInfo
from samix.mixup.joint_masks import JointMasks, energy, find_masks

pytestmark = pytest.mark.slow


def wanted(seed, m=3, side=2, groups=1, **options):
    """A problem as the policy puts it, of random saliency."""
    saliency = torch.rand(groups, m, side, side, generator=torch.Generator().manual_seed(seed)) ** 2
    saliency = saliency / saliency.mean((2, 3), keepdim=True)
    prior = np.log(np.random.default_rng(seed).dirichlet([2.0] * m, (groups, m)) + 1e-8)
    return CoMixup(side, **options)._wanted(saliency, torch.from_numpy(prior).float())


def naive_energy(problem, labels):
    """E of the first group, labels nested lists (m, h, w); float64."""
    cost, alike = problem.cost[0].double().tolist(), problem.alike[0].double().tolist()
    m, height, width = len(labels), len(labels[0]), len(labels[0][0])
    total, shares = 0.0, [[0.0] * m for _ in range(m)]
    for j, y, x in itertools.product(range(m), range(height), range(width)):
        mine = labels[j][y][x]
        total += cost[j][mine][y][x]
        shares[j][mine] += 1 / (height * width)
        for other_y, other_x in ((y + 1, x), (y, x + 1)):
            if other_y < height and other_x < width:
                total += problem.beta * (labels[j][other_y][other_x] != mine)
    together = sum(
        shares[j][a] * alike[a][b] * shares[k][b]
        for j, k, a, b in itertools.product(range(m), repeat=4)
        if j != k
    )
    return total + problem.gamma * height * width * max(problem.tau * m, together)


def mixed(policy, images, saliency, seed=0):
    return mixed_pairs(policy, images, images.flip(0), 0.3, seed, info=PairInfo(ImageInfo(saliency=saliency)))


def batch(n, size=(16, 16), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, *size, generator=generator), torch.rand(n, 1, *size, generator=generator) ** 4


@pytest.mark.parametrize("tau", [0.0, 0.83])
@pytest.mark.parametrize("omega", [0.001, 0.7])
def test_energy_in_loops(tau, omega):
    problem = wanted(3, m=4, side=3, tau=tau, omega=omega, eta=0.4)
    for seed in range(5):
        labels = torch.randint(4, (1, 4, 3, 3), generator=torch.Generator().manual_seed(seed))
        assert energy(problem, labels).item() == pytest.approx(
            naive_energy(problem, labels[0].tolist()), 1e-5
        )


def test_what_the_problem_consists_of():
    """Costs are less saliency and less the log of the prior; far peaks lie 1 apart."""
    saliency = torch.full((1, 2, 4, 3), 0.5)
    saliency[0, 0, 0, 0], saliency[0, 1, 3, 2] = 6.5, 6.5
    policy, rng = CoMixup(eta=0.2, omega=0.25), np.random.default_rng(7)
    (group,) = policy.draw(np.random.default_rng(7), 0.3, BatchShape(2, 4, 3))
    assert group.members.tolist() == [rng.permutation(2).tolist()]
    problem, prior = policy._wanted(saliency, group.prior), rng.dirichlet([2, 2], (1, 2))
    for j, i in itertools.product(range(2), repeat=2):
        want = -saliency[0, i].double() - 0.2 * math.log(prior[0, j, i] + 1e-8)
        torch.testing.assert_close(problem.cost[0, j, i].double(), want, atol=1e-5, rtol=0)
    torch.testing.assert_close(problem.alike[0], torch.tensor([[0.75, 0.25], [0.25, 0.75]]))


@pytest.mark.parametrize("options", [{}, {"tau": 0.0}, {"beta": 0.0}, {"gamma": 20.0}, {"omega": 0.9}])
def test_the_energy_never_rises(options):
    problem = wanted(5, m=7, side=4, groups=6, **options)
    start = torch.arange(7).view(1, 7, 1, 1).expand(6, 7, 4, 4)
    energies = [energy(problem, start)] + [energy(problem, find_masks(problem, t)) for t in range(1, 6)]
    for before, after in itertools.pairwise(energies):
        assert (after <= before + 1e-3).all()
    assert (energies[1] < energies[0]).any()


def test_the_search_comes_near_the_best_of_all_labellings():
    """Three outputs of 2 x 2 blocks: 81 ** 3 labellings."""
    each = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    which = torch.stack(torch.meshgrid(*[torch.arange(81)] * 3, indexing="ij"), -1).view(-1, 3)
    reached = []
    for seed in range(6):
        problem = wanted(seed)

        def of_all(labels, problem=problem):
            n = len(labels)
            many = problem._replace(
                cost=problem.cost.expand(n, -1, -1, -1, -1), alike=problem.alike.expand(n, -1, -1)
            )
            return energy(many, labels)

        energies = torch.cat([of_all(each[part]) for part in which.split(60000)])
        best, found = energies.min().item(), energy(problem, find_masks(problem, 4)).item()
        assert found >= best - 1e-4
        reached.append((energies.mean().item() - found) / (energies.mean().item() - best))
    assert min(reached) > 0.8 and sum(one > 0.9999 for one in reached) >= 2


def test_groups_do_not_know_each_other():
    problem = wanted(1, m=4, side=3, groups=5)
    together = find_masks(problem, 3)
    for g in range(5):
        alone = problem._replace(cost=problem.cost[g : g + 1], alike=problem.alike[g : g + 1])
        assert torch.equal(find_masks(alone, 3)[0], together[g])


def test_gamma_makes_outputs_differ_and_beta_smooth():
    """Without penalty and prior all outputs are the same: each block is of the image most salient there."""
    plain = wanted(2, m=6, side=4, gamma=0.0, eta=0.0, beta=0.0)
    labels = find_masks(plain, 4)
    assert torch.equal(labels, plain.cost.argmin(2))
    assert all(torch.equal(labels[:, 0], labels[:, j]) for j in range(6))

    def likeness(labels):
        unary = JointMasks(torch.zeros(1, 6, 6, 4, 4), torch.eye(6)[None], 0.0, 1.0, 0.0)
        return energy(unary, labels).item()

    def edges(labels):
        unary = JointMasks(torch.zeros(1, 6, 6, 4, 4), torch.eye(6)[None], 1.0, 0.0, 0.0)
        return energy(unary, labels).item()

    varied = find_masks(wanted(2, m=6, side=4, gamma=5.0, eta=0.0, beta=0.0, tau=0.0), 4)
    smooth = find_masks(wanted(2, m=6, side=4, gamma=0.0, eta=0.0, beta=2.0), 4)
    assert likeness(varied) < 0.5 * likeness(labels) and edges(smooth) < 0.5 * edges(labels)


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (2, [2]), (20, [20]), (21, [11, 10]), (43, [15, 14, 14])])
@pytest.mark.parametrize("size", [(16, 16), (9, 14)])
def test_pixels_and_labels(n, sizes, size):
    images, saliency = batch(n, size)
    # channel 0 is the number of the image, so that each mixed pixel identifies its source
    images[:, 0] = torch.arange(n).view(-1, 1, 1).float()
    before = images.clone(), saliency.clone()
    out = mixed(CoMixup(iterations=2), images, saliency)
    assert torch.equal(images, before[0]) and torch.equal(saliency, before[1])
    index, shares = out.index, out.weights
    assert not out.own_first and not out.everywhere
    assert index.shape == shares.shape == (max(sizes), n) and shares.dtype == torch.float32
    groups = []
    for row in range(n):
        sources = out.images[row, 0].long()
        own, counted = set(index[:, row].tolist()), dict.fromkeys(range(n), 0.0)
        for parent, share in zip(index[:, row].tolist(), shares[:, row].tolist(), strict=True):
            counted[parent] += share
        for parent in range(n):
            assert counted[parent] == pytest.approx((sources == parent).double().mean().item(), abs=1e-5)
        for y, x in np.ndindex(*size):
            assert torch.equal(out.images[row, :, y, x], images[sources[y, x], :, y, x])
            block = sources[y * 4 // size[0] * size[0] // 4 :, x * 4 // size[1] * size[1] // 4 :]
            assert size != (16, 16) or sources[y, x] == block[0, 0]
        masks = out.mask[:, row, 0]
        assert masks.sum(0).eq(1).all()
        assert torch.equal((masks * index[:, row, None, None]).sum(0), sources.float())
        groups.append(frozenset(own))
        assert row in own
    assert sorted(map(len, set(groups)), reverse=True) == sizes
    assert sum(map(len, set(groups))) == n


@settings(deadline=None, max_examples=15)
@given(n=st.integers(1, 6), h=st.integers(1, 12), w=st.integers(1, 12), seed=st.integers(0, 1000))
def test_any_size(n, h, w, seed):
    images, saliency = batch(n, (h, w), seed)
    out = mixed(
        CoMixup(iterations=1), images, saliency * (seed % 2), seed
    )  # half of them: no saliency at all
    assert out.images.shape == images.shape
    torch.testing.assert_close(out.weights.sum(0), torch.ones(n))
    assert out.weights.min() >= 0 and out.index.max() < n


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    images, saliency = batch(4)
    out = mixed(CoMixup(), images.to(dtype), saliency)
    assert out.images.dtype == dtype and out.weights.dtype == torch.float32


def test_masks_are_found_in_full_precision():
    images, saliency = batch(8)
    want = mixed(CoMixup(), images, saliency).images
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mixed(CoMixup(), images, saliency).images, want)


def test_seeds_decide():
    images, saliency = batch(6)
    one, two, other = (mixed(CoMixup(), images, saliency, seed).images for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_nothing_waits_for_the_device():
    images, saliency = batch(23)
    with NoSync():
        mixed(CoMixup(iterations=1), images, saliency)


def test_it_needs_saliency():
    assert CoMixup().requires == {"saliency"} and CoMixup().many_parents
    with pytest.raises(ValueError, match="saliency"):
        mixed(CoMixup(), batch(3)[0], None)


@pytest.mark.parametrize(
    "options", [{"blocks": 0}, {"iterations": 0}, {"alpha": 0}, {"omega": 2}, {"tau": -1}]
)
def test_refused_options(options):
    with pytest.raises(ConfigError, match="CoMixup"):
        CoMixup(**options)
