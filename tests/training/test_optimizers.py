"""The optimisers that training makes, against torch's own without any fused update."""

import io

import pytest
import torch
from pydantic import ValidationError
from timm.optim import create_optimizer_v2
from torch import nn

from samix.config.training import OptimizerConfig
from samix.core.learner import OptimizedModules
from samix.training.optimizers import make_optimizer

LR, DECAY = 0.01, 0.1
PLAIN = {
    "sgd": lambda groups: torch.optim.SGD(groups, LR, momentum=0.9, fused=False),
    "sgd, nesterov": lambda groups: torch.optim.SGD(groups, LR, momentum=0.9, nesterov=True, fused=False),
    "adam": lambda groups: torch.optim.Adam(groups, LR, fused=False),
    "adamw": lambda groups: torch.optim.AdamW(groups, LR, fused=False),
}


def network(dtype):
    """Convolutions in the layout that backbones have, a norm, a linear layer, and something frozen."""
    torch.manual_seed(0)
    # a bias before the norm would have a gradient of 0, which Adam turns into the sign of rounding errors
    convolutions = (nn.Conv2d(3, 17, 3, bias=False), nn.Conv2d(17, 9, 3, stride=2))
    net = nn.Sequential(convolutions[0], nn.BatchNorm2d(17), nn.ReLU(), convolutions[1], nn.Flatten())
    net = nn.Sequential(net, nn.Linear(36, 5), nn.Linear(5, 5).requires_grad_(False))
    return net.to(dtype=dtype, memory_format=torch.channels_last)


def groups_by_hand(net, decay_all):
    trained = [p for p in net.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if decay_all or p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in trained if not decay_all and p.ndim <= 1], "weight_decay": 0.0},
    ]


def steps(net, optimizer, numbers):
    for number in numbers:
        x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(number))
        net(x.to(net[1].weight.dtype)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def made(net, name, decay_all=True):
    name, _, nesterov = name.partition(", ")
    config = OptimizerConfig(
        name=name, nesterov=bool(nesterov), lr=LR, weight_decay=DECAY, decay_all=decay_all
    )
    return make_optimizer(OptimizedModules([net], config))


@pytest.mark.slow
@pytest.mark.parametrize("decay_all", [True, False])
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_update_is_that_of_torchs_plain_optimiser(name, decay_all, dtype, tolerance):
    net, reference = network(dtype), network(dtype)
    optimizer, plain = made(net, name, decay_all), PLAIN[name](groups_by_hand(reference, decay_all))
    assert all(bool(group["fused"]) == ("adam" in name) for group in optimizer.param_groups)
    steps(net, optimizer, range(8))
    steps(reference, plain, range(8))
    for (key, found), expected in zip(net.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(
            found, expected, atol=tolerance, rtol=tolerance, msg=lambda m, k=key: k + m
        )


def test_a_rate_that_changes_reaches_the_fused_update():
    net, reference = network(torch.float64), network(torch.float64)
    optimizer, plain = made(net, "adamw"), PLAIN["adamw"](groups_by_hand(reference, True))
    for number in range(4):
        for group in [*optimizer.param_groups, *plain.param_groups]:
            group["lr"] = 0.1 / (number + 1)
        steps(net, optimizer, [number])
        steps(reference, plain, [number])
    for found, expected in zip(net.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", [*PLAIN, "lamb"])
def test_a_saved_state_goes_on_bit_by_bit(name):
    """Momenta come back in the layout of their weights, which a fused update takes for granted."""
    whole, before, after = (network(torch.float32) for _ in range(3))
    steps(whole, made(whole, name), range(6))
    optimizer = made(before, name)
    steps(before, optimizer, range(3))
    file = io.BytesIO()
    torch.save({"net": before.state_dict(), "optimizer": optimizer.state_dict()}, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    after.load_state_dict(saved["net"])
    resumed = made(after, name)
    resumed.load_state_dict(saved["optimizer"])
    steps(after, resumed, range(3, 6))
    for found, expected in zip(after.parameters(), whole.parameters(), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(("nesterov", "named"), [(False, "momentum"), (True, "nesterov")])
def test_sgd_is_bit_by_bit_what_timm_has_under_two_names(nesterov, named):
    """Also below timm's lookahead, whose prefix is a part of the name."""
    for prefix in ("", "lookahead_"):
        net, reference = network(torch.float32), network(torch.float32)
        config = OptimizerConfig(name=f"{prefix}SGD", nesterov=nesterov, lr=LR, weight_decay=DECAY)
        own = make_optimizer(OptimizedModules([net], config))
        timms = create_optimizer_v2(
            reference, opt=prefix + named, lr=LR, weight_decay=DECAY, filter_bias_and_bn=False
        )
        steps(net, own, range(8))
        steps(reference, timms, range(8))
        assert all(map(torch.equal, net.parameters(), reference.parameters()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "momentum"}, "SGD is called sgd: set name: sgd and nesterov: false"),
        ({"name": "lookahead_momentum"}, "set name: sgd and nesterov: false"),
        ({"name": "nesterov", "nesterov": True}, "SGD is called sgd: set name: sgd and nesterov: true"),
        ({"name": "adamw", "nesterov": True}, "name is adamw: set nesterov: false or name: sgd"),
        ({"name": "sgd", "momentum": 0, "nesterov": True}, "Nesterov's momentum needs momentum above 0"),
    ],
)
def test_wrong_forms_of_sgd_are_refused_with_the_right_one(options, message):
    with pytest.raises(ValidationError, match=message) as caught:
        OptimizerConfig(**options)
    assert caught.value.error_count() == 1


def test_nesterovs_momentum_is_not_the_default():
    assert (OptimizerConfig().name, OptimizerConfig().nesterov) == ("sgd", False)
    assert OptimizerConfig(name="sgd") == OptimizerConfig(name="sgd", nesterov=False)


@pytest.mark.parametrize("name", ["lamb", "lars", "nadam"])
def test_an_optimiser_without_a_fused_update_is_made_as_well(name):
    net = network(torch.float32)
    before = [p.detach().clone() for p in net.parameters()]
    steps(net, made(net, name), range(2))
    moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
    assert moved == [p.requires_grad for p in net.parameters()]
