"""Every policy draws from the given generator alone, and mixes as a pure function of tensors and draws."""

import copy
import dataclasses
import pickle
import random

import numpy as np
import pytest
import torch

from helpers.all_policies import GRID, LAMS, cases, images_and_info, outputs_of_a_network, policy_of
from helpers.mixing import draws_of
from samix.mixup import PairInfo, Pairing, ResizeMix, for_graph, mix, to_device
from samix.mixup.boxes import Box, BoxDraws, as_boxes
from samix.mixup.draws import HostOnly
from samix.mixup.lam import pair_weights

pytestmark = pytest.mark.slow

ALL, SEEDS = cases(), range(3)
FEATURES = (4, 12, 12)
every_policy = pytest.mark.parametrize("name", ALL)


def parts(tree):
    """Fields or elements of nested tuples, lists and results; None for a leaf."""
    if dataclasses.is_dataclass(tree):
        return [getattr(tree, field.name) for field in dataclasses.fields(tree)]
    return list(tree) if isinstance(tree, tuple | list) else None


def same(one, other):
    """Whether two trees have the same types and bits; functions do not count."""
    if type(one) is not type(other):
        return False
    if parts(one) is not None:
        pairs = list(zip(parts(one), parts(other), strict=True))
        return all(same(*pair) for pair in pairs)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return callable(one) or one == other


def host_values(tree):
    """How many values for the fast path there are in a tree."""
    return isinstance(tree, HostOnly) or sum(map(host_values, parts(tree) or []))


def global_states():
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


class Case:
    """A policy with a batch, another view of it and what is known of both."""

    def __init__(self, name, folder):
        what, options, per_sample = ALL[name]
        self.policy = policy_of(what, options, folder)
        self.images, self.info = images_and_info(self.policy)
        self.others = self.images.flip(3) + 0.1, self.info
        self.lam = LAMS if per_sample else 0.4

    def draws(self, rng):
        return draws_of(self.policy, self.images, self.lam, rng, grid=(GRID, GRID), features=(FEATURES,) * 2)

    def mixed(self, draws, others=None):
        """The mix, its final weights, and features as the network would mix them."""
        out, features = mix(self.policy, self.images, draws, self.info, others), None
        member = self.policy.member(draws.member)
        if out.features is not None:
            both = torch.randn(2, len(self.images), *FEATURES, generator=torch.Generator().manual_seed(3))
            features = out.features.blend(*both)
        return out, member.reweight(out, outputs_of_a_network()), features


@every_policy
def test_draws_come_from_the_given_generator_alone(name, tmp_path):
    """Equal generators give equal draws and are left in equal states, whatever the global ones are at."""
    case = Case(name, tmp_path)
    for seed in SEEDS:
        found = []
        for number in (1, 2):
            torch.manual_seed(number)
            np.random.seed(number)
            random.seed(number)
            before, rng = global_states(), np.random.default_rng(seed)
            found.append((case.draws(rng), repr(rng.bit_generator.state)))
            assert same(global_states(), before)
        assert same(*found)


@every_policy
def test_mixing_is_a_pure_function_of_the_draws(name, tmp_path):
    """Twice the same bits; generators, images, information and the draws themselves stay as they were."""
    case = Case(name, tmp_path)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        draws = case.draws(rng)
        inputs = case.images, case.info, case.others, draws
        kept = copy.deepcopy((inputs, case.policy.state_dict(), rng.bit_generator.state))
        for others in (None, case.others) if seed == 0 else (None,):
            torch.manual_seed(1)
            before = global_states()
            one = case.mixed(draws, others)
            assert same(global_states(), before)
            torch.manual_seed(2)
            assert same(one, case.mixed(draws, others))
        assert same((inputs, rng.bit_generator.state), (kept[0], kept[2]))
        state = case.policy.state_dict()
        assert all(torch.equal(value, kept[1][key]) for key, value in state.items())


@every_policy
def test_draws_survive_pickling(name, tmp_path):
    case = Case(name, tmp_path)
    for seed in SEEDS:
        draws = case.draws(seed)
        again = pickle.loads(pickle.dumps(draws))
        assert same(draws, again) and same(case.mixed(draws), case.mixed(again))


@every_policy
def test_draws_survive_the_copy_to_a_device(monkeypatch, name, tmp_path):
    """One copy for each type of number; here the copies stay on the host, so that they can be compared."""
    case, copies = Case(name, tmp_path), []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: copies.append(self.dtype) or self)
    for seed in SEEDS:
        draws = case.draws(seed)
        copies.clear()
        moved = to_device(draws, torch.device("meta"))
        assert len(copies) == len(set(copies)) and (len(copies) > 0 or "guidedmixup" in name)
        assert same(moved, draws)


def tensors_of(tree):
    return [tree] if isinstance(tree, torch.Tensor) else sum(map(tensors_of, parts(tree) or []), [])


def test_tensors_on_the_device_are_not_copied_again(tmp_path):
    draws = Case("samix", tmp_path).draws(0)
    moved = to_device(draws, torch.device("meta"))
    again = to_device((moved, draws.pairing), torch.device("meta"))
    assert all(one is two for one, two in zip(tensors_of(moved), tensors_of(again[0]), strict=True))
    assert {tensor.device.type for tensor in tensors_of(again)} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_policy
def test_draws_on_a_gpu_are_the_same(name, tmp_path):
    case = Case(name, tmp_path)
    for seed in SEEDS:
        draws = case.draws(seed)
        assert same(_on_the_host(to_device(draws, torch.device("cuda"))), draws)


def _on_the_host(tree):
    """The tree with its tensors, all of which must be on a GPU, on the CPU."""
    if isinstance(tree, torch.Tensor):
        assert tree.is_cuda
        return tree.cpu()
    if not isinstance(tree, tuple) or isinstance(tree, HostOnly):
        return tree
    moved = [_on_the_host(part) for part in tree]
    return type(tree)(*moved) if hasattr(tree, "_fields") else tuple(moved)


@every_policy
def test_without_host_values_the_images_are_the_same(name, tmp_path):
    """The form of one graph against the fast path of the eager step; these paste, and so agree exactly."""
    case, fast = Case(name, tmp_path), 0
    for seed in range(6):
        draws = case.draws(seed)
        graph = for_graph(draws)
        assert not host_values(graph)
        if not host_values(draws):
            assert same(graph, draws)
            continue
        fast += 1
        assert same(case.mixed(graph), case.mixed(draws))
        assert same(case.mixed(graph, case.others), case.mixed(draws, case.others))
    boxed = ("cutmix", "resizemix", "transmix", "patchup", "random_choice", "choice", "inter_intra")
    assert (fast > 0) == (name.startswith(boxed) and "per sample" not in name)


@pytest.mark.parametrize(
    ("side", "differing"),
    [(8, 0), (28, 0), (32, 0), (64, 0), (96, 1), (128, 4), (160, 3), (224, 9)],
)
def test_resizemix_takes_the_pixels_that_interpolation_takes(side, differing):
    """Each box side from 1 on, 732 pairs and those of 8; 17 of them differ from exact division."""
    first, second = torch.rand(2, 1, 3, side, side, generator=torch.Generator().manual_seed(side))
    rows, policy, differ = Pairing(torch.arange(1), everywhere=False), ResizeMix(), 0
    for box in range(1, side + 1):
        place = Box(0, box, side - box, side)
        draws = BoxDraws(as_boxes(place), pair_weights(place.share_outside(side, side), 1), HostOnly(place))
        fast, graph = (policy(first, second, rows, one, PairInfo()) for one in (draws, for_graph(draws)))
        assert torch.equal(fast.images, graph.images) and torch.equal(fast.mask, graph.mask), box
        whole = torch.arange(box) * side // box  # exact division, which float32 sometimes falls short of
        differ += not torch.equal(fast.images[0, 0, :box, side - box :], second[0, 0][whole][:, whole])
    assert differ == differing
