"""Encoder and projector."""

import torch
from torch import nn

from samix.config.networks import BackboneConfig, ProjectorConfig
from samix.nn import Encoded, Encoder, build_backbone, projector

BACKBONE = BackboneConfig(channels=(4, 4, 8, 8))


def test_projection_is_the_unit_vector_of_the_projector(float64):
    encoder = Encoder(build_backbone(BACKBONE), ProjectorConfig(hidden=8, out=6)).eval()
    x = torch.randn(3, 3, 16, 16)
    out = encoder(x)
    first, _, second = encoder.projector
    hidden = torch.clamp(out.pooled @ first.weight.T + first.bias, min=0)
    raw = hidden @ second.weight.T + second.bias
    torch.testing.assert_close(out.projection, raw)
    for n in range(3):
        torch.testing.assert_close(out.embedding[n], raw[n] / (raw[n] ** 2).sum().sqrt())
    torch.testing.assert_close(out.tap, encoder.backbone.tap_map(x))


def test_projection_is_float32_of_length_one_under_autocast():
    encoder = Encoder(build_backbone(BACKBONE), ProjectorConfig(hidden=8, out=6))
    with torch.autocast("cpu", torch.bfloat16):
        projection = encoder(torch.randn(4, 3, 16, 16)).embedding
    assert projection.dtype == torch.float32
    torch.testing.assert_close(projection.norm(dim=1), torch.ones(4), atol=1e-6, rtol=0)


def test_projector_layers():
    plain = projector(5, ProjectorConfig(hidden=7, out=3))
    assert [type(layer) for layer in plain] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(p.shape) for p in plain.parameters()] == [(7, 5), (7,), (3, 7), (3,)]


def test_normed_projector(float64):
    """Each output has mean 0 and variance 1 over the batch."""
    normed = projector(5, ProjectorConfig(hidden=7, out=3, norm=True))
    kinds = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert [type(layer) for layer in normed] == kinds
    assert normed[1].affine and not normed[4].affine
    out = normed(1 + 3 * torch.randn(64, 5))
    torch.testing.assert_close(out.mean(0), torch.zeros(3))
    torch.testing.assert_close(out.var(0, correction=0), torch.ones(3), atol=1e-2, rtol=0)


def test_rows():
    encoded = Encoded(torch.rand(4, 2, 3, 3), torch.rand(4, 5), torch.rand(4, 6), torch.rand(4, 6))
    part = encoded.rows(1, 3)
    assert isinstance(part, Encoded)
    for whole, some in zip(encoded, part, strict=True):
        assert torch.equal(some, whole[1:3])
