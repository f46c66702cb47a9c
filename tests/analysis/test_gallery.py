"""The sheet of all policies on the same photographs."""

import numpy as np
import pytest
import torch
from PIL import Image

from samix.analysis.gallery import PAIRS, TILE, photographs, sheet
from samix.analysis.gallery_mixes import LAMS, Shown, share_of_first, shown_policies
from samix.commands import main
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.core.errors import DataError
from samix.core.weights import save_weights
from samix.jobs.self_supervised import about_backbone
from samix.mixup import POLICIES, CutMix, FMix, Mixed, Mixer, Mixup, SAMixP, StackMix
from samix.mixup.policies.samix_p import pretrained_mixer_metadata, pretrained_mixer_tensors
from samix.nn import Classifier, build_backbone

pytestmark = pytest.mark.slow

COLOURS = [(220, 30, 30), (30, 30, 220), (30, 160, 30), (230, 200, 40)]


@pytest.fixture
def folder(tmp_path):
    """Photographs of one colour each, some in folders below, not all of them square."""
    for number, colour in enumerate(COLOURS):
        path = tmp_path / "photographs" / f"class_{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + 10 * number, 50), colour).save(path)
    (tmp_path / "photographs" / "notes.txt").write_text("no image")
    return tmp_path / "photographs"


def files(folder):
    return [folder / f"class_{n % 2}" / f"{n}.png" for n in range(len(COLOURS))]


def tile(page, row, column):
    """Pixels of a tile, found by the layout: names left, captions below, a gap between the pairs."""
    left = 118 + column * (TILE + 3) + column // len(LAMS) * 12
    top = 3 + row * (TILE + 15 + 3)
    return np.array(page)[top : top + TILE, left : left + TILE].astype(float)


def test_every_policy_of_images_alone():
    found = shown_policies()
    static = {"mixup", "cutmix", "fmix", "gridmix", "gridmix, cells", "resizemix", "smoothmix"}
    others = {"saliencymix", "guidedmixup, sr", "stackmix", "random_choice", "augmix", "pixmix"}
    assert found.keys() == static | others


def test_a_pretrained_mixer_adds_its_own_row(tmp_path):
    """Its encoder normalises photographs in [0, 1] with the mean and std it was trained with."""
    config, mean, std = BackboneConfig(channels=(4, 4, 6, 8)), [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    about = pretrained_mixer_metadata(config, MixerConfig(), MaskAdjustConfig(mode="auto_label"), (mean, std))
    tensors = pretrained_mixer_tensors(build_backbone(config), Mixer(6, MixerConfig()))
    found = shown_policies(save_weights(tmp_path / "mixer.safetensors", tensors, about).path)
    assert list(found) == [*shown_policies(), "samix_p"] and isinstance(found["samix_p"].policy, SAMixP)
    images = torch.rand(2, 1, 3, 16, 16)
    normalised = (images[0] - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(found["samix_p"].policy._own(images[0]), normalised)
    shares = [share_of_first(mixed) for mixed in found["samix_p"].mixes(*images, 0)]
    assert shares == pytest.approx(LAMS, abs=1e-6)


def classifier_file(path, config, seed=0):
    """Weights as the stage sl_training leaves them."""
    torch.manual_seed(seed)
    classifier = Classifier(build_backbone(config), 3, ["mixed"], shared=False)
    tensors = {f"backbone.{key}": value for key, value in classifier.backbone.state_dict().items()}
    tensors |= {f"heads.{key}": value for key, value in classifier.heads.state_dict().items()}
    about = about_backbone(config, [], {"mean": [0.5] * 3, "std": [0.25] * 3})
    return save_weights(path, tensors, {**about, "headline": "val_top1_mixed_q"}).path


def test_networks_add_the_policies_that_ask_one(tmp_path):
    """All but those that mix features or train a network; each has images and a share to show."""
    cnn = classifier_file(tmp_path / "cnn.safetensors", BackboneConfig(channels=(4, 4, 6, 8)))
    vit = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
    found = shown_policies(networks=[cnn, classifier_file(tmp_path / "vit.safetensors", vit)])
    shown = {name.partition(",")[0] for name in found}
    hidden = {
        name for name, kind in POLICIES.items() if kind.cost == "learned" or kind.mixes_features != "never"
    }
    assert shown == POLICIES.keys() - hidden and {"manifoldmix", "samix", "adautomix"} <= hidden
    assert found["transmix"].eye.path.name == "vit.safetensors"
    assert found["puzzlemix"].eye.path.name == "cnn.safetensors" and found["mixup"].eye is None
    first, second = torch.rand(2, 1, 3, 32, 32)
    for name, one in found.items():
        for mixed in one.mixes(first, second, 1):
            assert mixed.images[0].isfinite().all(), name
            assert 0 <= share_of_first(mixed) <= 1.0001 or name in ("tokenmix", "snapmix"), name
    assert shown_policies(networks=[cnn]).keys() < found.keys()


def test_shares_of_several_parents():
    shares = torch.tensor([[0.2, 1.0], [0.5, 0.0], [0.3, 0.0]])
    index = torch.tensor([[0, 1], [1, 0], [0, 0]])
    mixed = Mixed(torch.zeros(2, 3, 1, 1), index, shares, own_first=False)
    assert share_of_first(mixed) == pytest.approx(0.5)


def test_the_same_numbers_at_every_lam():
    """Masks over lam are nested, and what the policy says is what the host would get."""
    first, second = torch.rand(2, 1, 3, 16, 16)
    for policy in (CutMix(), FMix()):
        masks = [mixed.mask for mixed in Shown(policy).mixes(first, second, 5)]
        assert all((low <= high).all() for low, high in zip(masks, masks[1:], strict=False))
    out = Shown(Mixup()).mixes(first, second, 5)
    for lam, mixed in zip(LAMS, out, strict=True):
        assert share_of_first(mixed) == pytest.approx(lam)
        torch.testing.assert_close(mixed.images[:1], lam * first + (1 - lam) * second)


def test_pixels_of_the_sheet(folder):
    images = photographs(files(folder), seed=0)
    page = sheet({"mixup": Shown(Mixup()), "stackmix": Shown(StackMix())}, images)
    colours = np.array(COLOURS, float)
    for pair in range(PAIRS):
        first, second = colours[2 * pair], colours[2 * pair + 1]
        assert np.abs(tile(page, 0, 3 * pair) - first).max() <= 1
        assert np.abs(tile(page, 0, 3 * pair + 1) - second).max() <= 1
        for place, lam in enumerate(LAMS):
            mixed = tile(page, 1, 3 * pair + place)
            assert np.abs(mixed - (lam * first + (1 - lam) * second)).max() <= 1
            stacked = tile(page, 2, 3 * pair + place)[TILE // 2]
            assert np.abs(stacked[10] - first).max() <= 2 and np.abs(stacked[-10] - second).max() <= 2
            assert (tile(page, 2, 3 * pair + place)[0] == 255).all()  # a low image on a square tile


def test_the_command(folder, tmp_path):
    for name in ("one", "two"):
        main(["gallery", str(folder), str(tmp_path / "new" / f"{name}.png"), "--seed", "3"])
    one, two = ((tmp_path / "new" / f"{name}.png").read_bytes() for name in ("one", "two"))
    assert one == two
    with Image.open(tmp_path / "new/one.png") as page:
        assert page.width > len(LAMS) * PAIRS * TILE and page.height > len(shown_policies()) * TILE


def test_photographs_of_a_folder_are_drawn_and_given_ones_kept(folder):
    given = photographs(files(folder), seed=0)
    assert [image.shape for image in given] == [(1, 3, TILE, TILE)] * 4
    wanted = [torch.tensor(colour) / 255 for colour in COLOURS]
    assert all(torch.allclose(image[0, :, 40, 40], c) for image, c in zip(given, wanted, strict=True))
    drawn = [torch.cat(photographs([folder], seed)) for seed in range(6)]
    assert all(torch.equal(torch.cat(photographs([folder], seed)), drawn[seed]) for seed in range(6))
    assert any(not torch.equal(drawn[0], other) for other in drawn)
    assert all(len(torch.unique(one.flatten(1), dim=0)) == 4 for one in drawn)  # no photograph twice


def test_mistakes(folder, tmp_path):
    with pytest.raises(DataError, match="no file or folder .*nowhere"):
        photographs([tmp_path / "nowhere"], 0)
    with pytest.raises(DataError, match="1 images in .*: 4 are needed"):
        photographs(files(folder)[:1], 0)
    with pytest.raises(DataError, match="notes.txt cannot be read"):
        photographs([*files(folder)[:3], folder / "notes.txt"], 0)
