"""Masks of blocks: energies by loops, the cut against all masks there are, the descent against itself."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samix.mixup import block_energy
from samix.mixup.block_energy import Energy, descend, minimum_cut


def random_energy(n, b, kinds, seed, unit=None):
    """Costs of both signs and weights; multiples of `unit` if given, weights of m^2 units."""
    rng = np.random.default_rng(seed)
    unary = rng.normal(size=(n, b, b, kinds)) / b**2
    weights = [rng.gamma(0.5, 0.1, shape) for shape in ((n, b - 1, b), (n, b, b - 1))]
    if unit is not None:
        unary = np.rint(unary / unit) * unit
        weights = [np.rint(one / unit / (kinds - 1) ** 2) * unit * (kinds - 1) ** 2 for one in weights]
    return Energy(*(torch.from_numpy(part) for part in (unary, *weights)))


def naive_energy(energy, sample, labels):
    """labels (b, b), whole numbers: the sum written out."""
    unary, down, right = (part[sample].tolist() for part in energy)
    b, m = len(unary), len(unary[0][0]) - 1
    total = 0.0
    for i, j in np.ndindex(b, b):
        total += unary[i][j][labels[i][j]]
        if i + 1 < b:
            total += down[i][j] * ((labels[i][j] - labels[i + 1][j]) / m) ** 2
        if j + 1 < b:
            total += right[i][j] * ((labels[i][j] - labels[i][j + 1]) / m) ** 2
    return total


def least_of_all(energy, sample):
    b, kinds = energy.unary.shape[1], energy.unary.shape[3]
    grids = itertools.product(range(kinds), repeat=b * b)
    return min(naive_energy(energy, sample, np.reshape(grid, (b, b)).tolist()) for grid in grids)


@pytest.mark.parametrize(("b", "kinds"), [(2, 2), (4, 3), (3, 5)])
def test_energies(b, kinds):
    energy = random_energy(4, b, kinds, 0)
    labels = torch.randint(kinds, (4, b, b), generator=torch.Generator().manual_seed(0))
    for sample, value in enumerate(energy.of(labels)):
        assert value.item() == pytest.approx(naive_energy(energy, sample, labels[sample].tolist()), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("b", "kinds"), [(2, 2), (2, 3), (2, 4), (3, 2)])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_the_cut_is_the_least_of_all(b, kinds, seed):
    scale = 1000 * b**2
    energy = random_energy(3, b, kinds, seed, unit=1 / scale)
    labels = minimum_cut(energy, scale)
    assert labels.shape == (3, b, b) and labels.min() >= 0 and labels.max() < kinds
    for sample, grid in enumerate(labels.tolist()):
        assert naive_energy(energy, sample, grid) == pytest.approx(least_of_all(energy, sample), abs=1e-9)


@pytest.mark.parametrize(("b", "kinds"), [(2, 3), (3, 2)])
def test_rounding_costs_little(b, kinds):
    scale = 1000 * b**2
    energy = random_energy(20, b, kinds, 1)
    for sample, grid in enumerate(minimum_cut(energy, scale).tolist()):
        # half a unit each: a cost of each block, and each pair, in m^2 of them
        slack = (b * b + 2 * b * (b - 1) * (kinds - 1) ** 2) / scale
        found, least = naive_energy(energy, sample, grid), least_of_all(energy, sample)
        assert least - 1e-12 <= found <= least + slack


def require_no_better_single_change(energy, labels, slack):
    kinds = energy.unary.shape[3]
    for sample, grid in enumerate(labels.tolist()):
        here = naive_energy(energy, sample, grid)
        for i, j in np.ndindex(labels.shape[1:]):
            for label in range(kinds):
                other = [list(row) for row in grid]
                other[i][j] = label
                assert naive_energy(energy, sample, other) >= here - slack


def test_the_cut_of_a_large_grid():
    energy = random_energy(2, 6, 3, 5, unit=1 / 36000)
    labels = minimum_cut(energy, 36000)
    require_no_better_single_change(energy, labels, 1e-9)
    assert (energy.of(labels) <= energy.of(descend(energy)) + 1e-9).all()
    assert len(labels.unique()) == 3


def test_large_batches_are_cut_in_parts():
    energy = random_energy(70, 3, 3, 2, unit=1 / 9000)
    labels = minimum_cut(energy, 9000)
    for rows in (slice(0, 1), slice(31, 34), slice(69, 70)):
        some = Energy(*(part[rows] for part in energy))
        torch.testing.assert_close(some.of(labels[rows]), some.of(minimum_cut(some, 9000)))


def test_equal_neighbours_and_nothing_to_choose():
    energy = Energy(torch.zeros(1, 2, 2, 3), torch.ones(1, 1, 2), torch.ones(1, 2, 1))
    assert len(minimum_cut(energy, 4000).unique()) == 1
    energy = Energy(
        torch.tensor([1.0, 0.0, 1.0]).expand(1, 2, 2, 3), torch.zeros(1, 1, 2), torch.zeros(1, 2, 1)
    )
    assert minimum_cut(energy, 4000).eq(1).all() and descend(energy).eq(1).all()


@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_descent_tries_all_of_four_blocks(kinds):
    energy = random_energy(5, 2, kinds, 3)
    for sample, grid in enumerate(descend(energy).tolist()):
        assert naive_energy(energy, sample, grid) == pytest.approx(least_of_all(energy, sample), abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(b=st.integers(3, 6), kinds=st.integers(2, 4), seed=st.integers(0, 10_000))
def test_descent_never_goes_up(b, kinds, seed):
    energy = random_energy(3, b, kinds, seed)
    before, sweeps = None, block_energy._SWEEPS
    try:
        for count in range(6):
            block_energy._SWEEPS = count
            now = energy.of(descend(energy))
            assert before is None or (now <= before + 1e-9).all()
            before = now
    finally:
        block_energy._SWEEPS = sweeps
    require_no_better_single_change(energy, descend(energy), 1e-9)


def test_descent_gains():
    energy = random_energy(20, 6, 3, 0)
    start = energy.of(energy.unary.argmin(3))
    assert (energy.of(descend(energy)) < start - 1e-3).float().mean() > 0.5
