"""Wiring of the C4 form: which layers see the picture, which the regions, and that all of them train."""

import pytest
import torch

from samix.config.detection import DetectorConfig
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.core.weights import save_weights
from samix.detection.faster_rcnn_c4 import build_faster_rcnn_c4
from samix.nn import build_backbone

CONFIG = DetectorConfig(min_size=(64,), max_size=64)
MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]
TARGET = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([2])}


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(channels=(16, 16, 32, 48)))
    for norm in backbone.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)  # timm starts residual branches at 0, without a gradient
    return backbone


def detector_of(backbone, **options):
    torch.manual_seed(0)
    config = DetectorConfig(**{**CONFIG.model_dump(), **options})
    return build_faster_rcnn_c4(backbone, 3, config, mean=MEAN, std=STD)


def losses_of(detector):
    torch.manual_seed(0)
    return detector(list(torch.rand(2, 3, 64, 64)), [TARGET, TARGET])


def test_layer4_sees_regions_and_the_rest_the_picture(backbone):
    detector = detector_of(backbone)
    shapes = {}
    detector.backbone.layer3.register_forward_hook(lambda m, i, o: shapes.update(layer3=o.shape))
    detector.roi_heads.box_head.layer4.register_forward_hook(
        lambda m, i, o: shapes.update(regions=i[0].shape, layer4=o.shape)
    )
    losses_of(detector)
    assert shapes["layer3"] == (2, 32, 16, 16)
    assert shapes["regions"][0] <= 2 * CONFIG.box_batch and shapes["regions"][1:] == (32, 7, 7)
    assert shapes["layer4"][1:] == (48, 4, 4)
    assert not hasattr(detector.backbone, "layer4")


def test_all_layers_get_gradients_and_train(backbone):
    detector = detector_of(backbone).train()
    sum(losses_of(detector).values()).backward()
    without = [name for name, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    norms = [m for m in detector.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(m.training and m.track_running_stats for m in norms)


def test_the_classifier_has_one_output_more_than_classes(backbone):
    predictor = detector_of(backbone).roi_heads.box_predictor
    assert predictor.cls_score.out_features == 4 and predictor.cls_score.in_features == 48


def test_extra_norm_is_the_only_difference_it_makes(backbone):
    with_norm, without = (
        detector_of(backbone, extra_norm=flag).state_dict().keys() for flag in (True, False)
    )
    extra = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert with_norm - without == {f"roi_heads.box_head.norm.{name}" for name in extra}
    assert not without - with_norm


def test_it_starts_from_the_backbone_and_leaves_it_alone(backbone, tmp_path):
    """Its weights are copies: two detectors of one backbone do not train each other."""
    before = {name: t.clone() for name, t in backbone.state_dict().items()}
    detector = detector_of(backbone)
    assert torch.equal(detector.backbone.conv1.weight, backbone.net.conv1.weight)
    assert torch.equal(
        detector.roi_heads.box_head.layer4[0].conv1.weight, backbone.net.layer4[0].conv1.weight
    )
    with torch.no_grad():
        for p in detector.parameters():
            p.add_(1)
    assert all(torch.equal(t, before[name]) for name, t in backbone.state_dict().items())

    state = detector.state_dict()
    assert len({t.data_ptr() for t in state.values() if t.numel()}) == len(state)  # nothing is shared
    again = detector_of(backbone)
    again.load_state_dict(save_weights(tmp_path / "d.safetensors", state, {}).load())
    assert torch.equal(again.roi_heads.box_head.norm.weight, detector.roi_heads.box_head.norm.weight)


def test_pictures_are_normalised_with_the_given_statistics(backbone):
    detector = detector_of(backbone)
    image = torch.rand(3, 64, 64)
    seen, _ = detector.transform([image])
    expected = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert seen.tensors.shape == (1, 3, 64, 64)
    assert torch.allclose(seen.tensors[0], expected, atol=1e-6)


def test_a_backbone_without_four_layers_is_named():
    other = build_backbone(BackboneConfig(name="mobilenetv3_small_050", stem="imagenet", tap=3))
    with pytest.raises(ConfigError, match=r"MobileNetV3.*resnet\*"):
        detector_of(other)
