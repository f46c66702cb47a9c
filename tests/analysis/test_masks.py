"""Sheets of masks and attention, for a Mixer whose maps are known."""

import pytest
import torch
from torch import nn

from samix.analysis.masks import LAMS, attention_sheet, mask_sheet, pairs_of_classes
from samix.data import MemoryStore, Normalize
from samix.mixup.mixer.mixer import MixerMaps

pytestmark = pytest.mark.slow

SIZE = 8
NORMALIZE = Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Known(nn.Module):
    """A Mixer whose mask is lam on the left half and 0 on the right, for every pair."""

    def forward(self, first, second, lam, size):
        mask = torch.zeros(len(first), 1, *size)
        mask[..., : size[1] // 2] = lam
        places = first.shape[2] * first.shape[3]
        rows = torch.arange(places).float()  # row r of the attention is r everywhere but at its own place
        attention = rows[:, None].expand(places, places).clone()
        attention[torch.arange(places), torch.arange(places)] = -1
        return MixerMaps(mask, attention.expand(len(first), -1, -1), second[:, :1])


class Policy:
    """The method of SAMixP that the sheets call; its maps are the normalised images at half their size."""

    def inspect(self, first, second, lam):
        return Known()(first[:, :, ::2, ::2], second[:, :, ::2, ::2], lam, first.shape[-2:])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(256, (2, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator) for _ in range(2)]


def shown(ax):
    """Image of an axes, channels last."""
    return torch.from_numpy(ax.images[0].get_array().data.copy()).float()


def rgb(image):
    return (image / 255).permute(1, 2, 0)


def test_mask_sheet(pair):
    figure = mask_sheet(Policy(), *pair, NORMALIZE)
    columns = 2 + len(LAMS)
    assert len(figure.axes) == 4 * columns
    for n in range(2):
        upper = figure.axes[2 * n * columns :][:columns]
        lower = figure.axes[(2 * n + 1) * columns :][:columns]
        first, second = rgb(pair[0][n]), rgb(pair[1][n])
        torch.testing.assert_close(shown(upper[0]), first)
        torch.testing.assert_close(shown(upper[1]), second)
        assert not lower[0].images and not lower[1].images
        for mask_ax, mixed_ax, lam in zip(upper[2:], lower[2:], LAMS, strict=True):
            mask = torch.zeros(SIZE, SIZE)
            mask[:, : SIZE // 2] = lam
            torch.testing.assert_close(shown(mask_ax), mask)
            torch.testing.assert_close(
                shown(mixed_ax), mask[..., None] * first + (1 - mask[..., None]) * second
            )
            assert mask_ax.images[0].get_clim() == (0, 1)  # all masks on one scale
            assert f"{lam:g}" in mask_ax.get_title() or n > 0
            assert f"{lam / 2:.2f}" in mask_ax.get_title()
    assert all(not ax.axison for ax in figure.axes)


def test_attention_sheet(pair):
    figure = attention_sheet(Policy(), *pair, NORMALIZE)
    assert len(figure.axes) == 2 * 6
    titles = [ax.get_title() for ax in figure.axes]
    assert all(titles[:6]) and not any(titles[6:])
    for n in range(2):
        x, y, content, row, mask, mixed = (shown(ax) for ax in figure.axes[6 * n : 6 * n + 6])
        torch.testing.assert_close(x, rgb(pair[0][n]))
        torch.testing.assert_close(y, rgb(pair[1][n]))
        torch.testing.assert_close(content, ((pair[1][n, 0, ::2, ::2] / 255) - 0.5) / 0.25)
        expected = torch.full((4, 4), 10.0)  # the row of the place (2, 2) of a map of 4 x 4
        expected[2, 2] = -1
        torch.testing.assert_close(row, expected)
        assert mask[:, :4].eq(0.5).all() and mask[:, 4:].eq(0).all()
        torch.testing.assert_close(mixed, mask[..., None] * x + (1 - mask[..., None]) * y)


def test_the_sheets_compute_no_gradients_and_can_be_written(pair, tmp_path):
    weight = nn.Parameter(torch.ones(()))
    policy = Policy()
    policy.maps = lambda images, _: images[:, :, ::2, ::2] * weight
    for name, sheet in (("masks", mask_sheet), ("attention", attention_sheet)):
        sheet(policy, *pair, NORMALIZE).savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("labels", "pairs", "expected"),
    [
        ([2, 0, 1, 0, 2, 3], 2, [(1, 2), (0, 5)]),  # classes (0, 1) and (2, 3), the first image of each
        ([1, 0, 2], 3, [(1, 0), (2, 1), (0, 2)]),  # an odd number of classes goes round
    ],
)
def test_pairs_are_of_neighbouring_classes(labels, pairs, expected):
    pixels = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    first, second = pairs_of_classes(MemoryStore(pixels, torch.tensor(labels)), pairs)
    assert list(zip(first[:, 0, 0, 0].tolist(), second[:, 0, 0, 0].tolist(), strict=True)) == expected
