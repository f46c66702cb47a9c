"""Decoupled Mixup and binary losses of mixed images: by hand, against loops, and what they promise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers.steps import step_of
from helpers.tiny_supervised import batch_of, context, learner_of
from samix.config.supervised import MixedLossConfig, SupervisedConfig
from samix.methods.supervised import mixed_criterion
from samix.objectives import ClassObjective, DecoupledCE, MixedBCE, MixedCE

ONE, TWO, FOUR = 0.0, math.log(2), math.log(4)  # logits whose exponentials are 1, 2 and 4
FIRST, SECOND = torch.tensor([0, 3, 1, 2, 4, 3]), torch.tensor([3, 0, 1, 4, 4, 1])  # pairs 2 and 4: one class
SHARES = [0.2, 0.9, 0.3, 0.5, 0.7, 0.4]
NAMES = {
    "ce": MixedCE(ClassObjective(smoothing=0.1)),
    "dm_ce": DecoupledCE(),
    "dm_ce less": DecoupledCE(0.1, 0.3, "less", 0.5),
    "dm_ce more": DecoupledCE(0.0, 0.2, "more", 1.0),
    "dm_ce both": DecoupledCE(0.2, 0.5, "both", 1.0),
    "bce": MixedBCE(),
    "bce mean": MixedBCE(0.1, reduction="mean"),
    "dm_bce": MixedBCE(0.0, 0.8, 1.0),
    "dm_bce raised": MixedBCE(0.1, 0.5, 2.0),
    "two_hot": MixedBCE(two_hot=True),
}


def logits(n=6, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)


def weights_of(lam, n=6):
    """(2, n) for one lam, as a policy makes them."""
    return torch.tensor([lam, 1 - lam])[:, None].expand(2, n)


def one(criterion, lam):
    """Loss of one image whose classes have the exponentials 1, 2 and 4."""
    outputs = torch.tensor([[ONE, TWO, FOUR]], dtype=torch.float64)
    return criterion(outputs, [torch.tensor([0]), torch.tensor([1])], weights_of(lam, 1)).item()


@pytest.mark.parametrize(
    ("selection", "power", "weights"),
    [
        ("both", 0.0, (1, 1)),
        ("both", 1.0, (0.25, 0.75)),
        ("less", 0.0, (1, 0)),
        ("less", 0.5, (0.5, 0)),
        ("more", 0.0, (0, 1)),
        ("more", 1.0, (0, 0.75)),
    ],
)
def test_decoupled_softmax_of_three_classes_by_hand(float64, selection, power, weights):
    """p = 1/7, 2/7; without the partner phi_0 = 1 / (1 + 4) and phi_1 = 2 / (2 + 4)."""
    mixed = 0.25 * math.log(7) + 0.75 * math.log(7 / 2)
    want = mixed + 0.1 * (weights[0] * math.log(5) + weights[1] * math.log(3))
    assert one(DecoupledCE(0.0, 0.1, selection, power), 0.25) == pytest.approx(want, rel=1e-12)


def test_sigmoid_targets_of_three_classes_by_hand(float64):
    """Sigmoids 1/2, 2/3, 4/5; share 0.4 of 0.8 has target 0.5, share 0.6 has 0.75."""

    def cost(t, p):
        return -t * math.log(p) - (1 - t) * math.log(1 - p)

    plain = cost(0.4, 1 / 2) + cost(0.6, 2 / 3) + cost(0, 4 / 5)
    raised = cost(0.5, 1 / 2) + cost(0.75, 2 / 3) + cost(0, 4 / 5)
    squared = cost(0.25, 1 / 2) + cost(0.5625, 2 / 3) + cost(0, 4 / 5)
    both = cost(1, 1 / 2) + cost(1, 2 / 3) + cost(0, 4 / 5)
    assert one(MixedBCE(), 0.4) == pytest.approx(plain, rel=1e-12)
    assert one(MixedBCE(reduction="mean"), 0.4) == pytest.approx(plain / 3, rel=1e-12)
    assert one(MixedBCE(xi=0.8), 0.4) == pytest.approx(raised, rel=1e-12)
    assert one(MixedBCE(xi=0.8, tau=2.0), 0.4) == pytest.approx(squared, rel=1e-12)
    assert one(MixedBCE(two_hot=True), 0.4) == pytest.approx(both, rel=1e-12)
    targets = [0.9 * t + 0.1 / 3 for t in (0.4, 0.6, 0)]
    smooth = sum(cost(t, p) for t, p in zip(targets, (1 / 2, 2 / 3, 4 / 5), strict=True))
    assert one(MixedBCE(0.1), 0.4) == pytest.approx(smooth, rel=1e-12)


def smoothed(label, classes, e):
    return [e / classes + (1 - e) * (c == label) for c in range(classes)]


def looped_ce(criterion, outputs, first, second, lam, rest):
    """mixCE with smoothed targets and the decoupled terms, sample by sample, from exponentials."""
    total = 0.0
    for n, row in enumerate(outputs.tolist()):
        a, b, sides = first[n].item(), second[n].item(), (lam[n], rest[n])
        everything = sum(math.exp(o) for o in row)
        for label, share in ((a, lam[n]), (b, rest[n])):
            target = smoothed(label, len(row), criterion.smoothing)
            total += share * sum(t * (math.log(everything) - o) for t, o in zip(target, row, strict=True))
        if a == b or min(sides) == 0:
            continue
        for label, partner, share in ((a, b, lam[n]), (b, a, rest[n])):
            wanted = {"both": True, "less": share == min(sides), "more": share == max(sides)}
            if wanted[criterion.selection]:
                others = sum(math.exp(o) for c, o in enumerate(row) if c != partner)
                phi = math.exp(row[label]) / others
                total += criterion.eta * share**criterion.power * -math.log(phi)
    return total / len(outputs)


def looped_bce(criterion, outputs, first, second, lam, rest):
    """Each class against its target, with the sigmoid written out."""
    total = 0.0
    for n, row in enumerate(outputs.tolist()):
        for c, o in enumerate(row):
            target = 0.0
            for label, share in ((first[n].item(), lam[n]), (second[n].item(), rest[n])):
                if c == label and share > 0:
                    low = not criterion.two_hot and share < criterion.xi
                    target += (share / criterion.xi) ** criterion.tau if low else 1
            target = (1 - criterion.smoothing) * min(target, 1) + criterion.smoothing / len(row)
            p = 1 / (1 + math.exp(-o))
            total -= target * math.log(p) + (1 - target) * math.log(1 - p)
    return total / len(outputs) / (outputs.shape[1] if criterion.reduction == "mean" else 1)


def looped(criterion, *parts):
    if isinstance(criterion, MixedCE):
        criterion = DecoupledCE(criterion.objective.smoothing, eta=0.0)
    loop = looped_bce if isinstance(criterion, MixedBCE) else looped_ce
    return loop(criterion, *parts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["one lam", "lam per sample", "two numbers", "two per sample", "ends"])
def test_loops(float64, name, kind):
    criterion, n = NAMES[name], len(FIRST)
    lam = {"one lam": [0.3] * n, "two numbers": [0.3] * n, "ends": [0.0, 1.0, 0.0, 1.0, 1.0, 0.5]}
    lam = lam.get(kind, SHARES)
    rest = [1 - share for share in lam]
    if kind.startswith("two"):
        rest = [0.5] * n if kind == "two numbers" else [0.7, 0.4, 0.9, 0.5, 0.0, 0.6]
    weights = torch.tensor([lam, rest])
    if kind in ("one lam", "two numbers"):
        weights = weights[:, :1].expand(2, n)
    outputs = logits()
    found = criterion(outputs, [FIRST, SECOND], weights)
    torch.testing.assert_close(found, torch.tensor(looped(criterion, outputs, FIRST, SECOND, lam, rest)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=30)
@given(lam=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)), seed=st.integers(0, 99))
def test_the_parents_may_change_places(name, lam, seed):
    """(y, y', lam) and (y', y, 1 - lam) are one mixed image."""
    outputs, criterion = logits(seed=seed).float(), NAMES[name]
    weights = torch.tensor([[lam] * 6, [1 - lam] * 6])
    one_way = criterion(outputs, [FIRST, SECOND], weights)
    torch.testing.assert_close(one_way, criterion(outputs, [SECOND, FIRST], weights.flip(0)))
    assert one_way.isfinite()


@pytest.mark.parametrize("name", ["dm_ce", "dm_ce less", "dm_ce more", "dm_ce both"])
def test_pairs_of_one_class_have_plain_cross_entropy(float64, name):
    criterion, outputs = NAMES[name], logits().requires_grad_()
    plain = ClassObjective(smoothing=criterion.smoothing)
    found = criterion(outputs, [FIRST, FIRST], weights_of(0.3))
    torch.testing.assert_close(found, plain.point_loss(outputs, FIRST).mean())
    (gradient,) = torch.autograd.grad(found, outputs, retain_graph=True)
    (want,) = torch.autograd.grad(plain.point_loss(outputs, FIRST).mean(), outputs)
    torch.testing.assert_close(gradient, want)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_gradients(float64, name, lam):
    outputs = logits().requires_grad_()
    assert torch.autograd.gradcheck(lambda o: NAMES[name](o, [FIRST, SECOND], weights_of(lam)), outputs)


def test_the_partner_has_no_part_in_the_decoupled_term(float64):
    """Beyond mixCE, the logit of b moves phi_b alone."""
    outputs = torch.tensor([[ONE, TWO, FOUR]], dtype=torch.float64, requires_grad=True)
    parts = outputs, [torch.tensor([0]), torch.tensor([1])], weights_of(0.25, 1)
    extra = DecoupledCE(0.0, 1.0, "less")(*parts) - MixedCE(ClassObjective())(*parts)
    (gradient,) = torch.autograd.grad(extra, outputs)
    assert gradient[0, 1] == pytest.approx(0, abs=1e-12)
    assert gradient[0].tolist() == pytest.approx([1 / 5 - 1, 0, 4 / 5], abs=1e-12)


@pytest.mark.parametrize("selection", ["both", "less", "more"])
@pytest.mark.parametrize("rising", [True, False])
def test_as_released(float64, selection, rising):
    """Falling class numbers in the first two-class pair: every pair has the weights of the other parent."""
    outputs = logits()
    pair = [FIRST, SECOND] if rising else [FIRST.flip(0), SECOND.flip(0)]
    weights = weights_of(0.3 if rising else 0.7)
    released, right = (DecoupledCE(0.0, 0.5, selection, 1.0, as_released=x) for x in (True, False))
    plain = MixedCE(ClassObjective())
    exchanged = right(outputs, pair, weights.flip(0)) - plain(outputs, pair, weights.flip(0))
    want = right(outputs, pair, weights) if rising else plain(outputs, pair, weights) + exchanged
    torch.testing.assert_close(released(outputs, pair, weights), want)
    even = weights_of(0.5)
    torch.testing.assert_close(released(outputs, pair, even), plain(outputs, pair, even))


def test_released_and_right_agree_without_weights(float64):
    for first, second in ((FIRST, SECOND), (FIRST.flip(0), SECOND.flip(0))):
        parts = logits(), [first, second], weights_of(0.3)
        torch.testing.assert_close(DecoupledCE(as_released=True)(*parts), DecoupledCE()(*parts))


@pytest.mark.parametrize("name", [*NAMES, "released"])
def test_no_value_is_read_back(name):
    """Tensors without values: a criterion that waited for the device would fail here."""
    criterion = NAMES.get(name) or DecoupledCE(as_released=True)
    outputs, classes = torch.zeros(6, 5, device="meta"), torch.zeros(6, dtype=torch.long, device="meta")
    assert criterion(outputs, [classes, classes], torch.zeros(2, 6, device="meta")).shape == ()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_are_widened(name):
    outputs = logits().bfloat16()
    found = NAMES[name](outputs, [FIRST, SECOND], weights_of(0.3))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, NAMES[name](outputs.float(), [FIRST, SECOND], weights_of(0.3)))


@pytest.mark.parametrize("name", NAMES)
def test_three_parents(float64, name):
    """The mixed cross-entropy has a term for each; the losses of two classes refuse them by name."""
    criterion, outputs = NAMES[name], logits()
    targets, weights = [FIRST, SECOND, FIRST.roll(1)], torch.tensor([[0.5], [0.2], [0.3]]).expand(3, 6)
    if not isinstance(criterion, MixedCE):
        with pytest.raises(ValueError, match=r"these images have 3 parents: .*mixed_loss\.name: ce"):
            criterion(outputs, targets, weights)
        return
    logs, want = outputs.log_softmax(1), 0.0
    for label, weight in zip(targets, weights, strict=True):
        own = logs.gather(1, label[:, None])[:, 0]
        want -= (weight * (0.9 * own + 0.1 * logs.mean(1))).mean()
    torch.testing.assert_close(criterion(outputs, targets, weights), want)


def test_configured_losses():
    def criterion(**options):
        return mixed_criterion(SupervisedConfig(label_smoothing=0.1, mixed_loss=MixedLossConfig(**options)))

    assert mixed_criterion(SupervisedConfig()) == MixedCE(ClassObjective())
    assert criterion() == MixedCE(ClassObjective(smoothing=0.1))
    assert criterion(name="dm_ce", selection="less", power=0.5) == DecoupledCE(0.1, 0.1, "less", 0.5)
    assert criterion(name="dm_ce", as_released=True).as_released
    assert criterion(name="bce", reduction="mean") == MixedBCE(0.1, reduction="mean")
    assert criterion(name="dm_bce") == MixedBCE(0.1, 0.8)
    assert criterion(name="dm_bce", two_hot=True).two_hot


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"eta": 0.2}, "eta is an option of dm_ce; name is ce"),
        ({"name": "bce", "xi": 0.5}, "xi is an option of dm_bce; name is bce"),
        ({"name": "dm_ce", "reduction": "mean"}, "reduction is an option of bce and dm_bce"),
        ({"name": "dm_bce", "two_hot": True, "tau": 2.0}, "no use for xi and tau"),
        ({"name": "dm_bce", "xi": 0.0}, "greater than 0"),
        ({"name": "kl"}, "dm_ce"),
    ],
)
def test_options_without_a_taker_are_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        MixedLossConfig(**options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bce", "dm_ce", "dm_bce"])
@pytest.mark.parametrize("kind", ["cutmix", "samix"])
def test_a_host_with_another_loss_changes_that_loss_alone(kind, name):
    plain, other = (learner_of(kind, mixed_loss=MixedLossConfig(name=n)) for n in ("ce", name))
    want, found = (step_of(learner, batch_of(3), context(3)) for learner in (plain, other))
    assert want.keys() == found.keys()
    differ = {key for key in want if not torch.equal(want[key], found[key])}
    assert differ == {"loss", "loss_mixed"}
    found["loss"].backward()
    gradients = [p.grad for p in other.classifier.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
