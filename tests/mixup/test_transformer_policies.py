"""Properties that all policies for transformers share, whatever their labels follow."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import draws_of, reweighted
from samix.mixup import (
    POLICIES,
    TLA,
    ImageInfo,
    MixPro,
    ModelOutputs,
    RandomChoice,
    SMMix,
    TokenMix,
    TransMix,
    mix,
)

CLASSES = 5
VARIANTS = {
    "transmix": lambda patch: TransMix(),
    "transmix, attention alone": lambda patch: TransMix(0.0),
    "tokenmix": lambda patch: TokenMix(),
    "tokenmix, normal": lambda patch: TokenMix(normalise_weights=True),
    "tokenmix, random": lambda patch: TokenMix("random"),
    "tokenmix, teacher": lambda patch: TokenMix(label="teacher", patch=patch),
    "tokenmix, area": lambda patch: TokenMix(label="area", patch=patch),
    "tla": lambda patch: TLA(patch),
    "mixpro": lambda patch: MixPro(),
    "mixpro, plain": lambda patch: MixPro(2, 0.0),
    "smmix": lambda patch: SMMix(),
}
ANY_LAM = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))


class Case(NamedTuple):
    """A batch, the information about its images, and the outputs of a network for the mixed images."""

    images: torch.Tensor
    info: ImageInfo
    outputs: ModelOutputs


def case(n=4, grid=(3, 4), patch=4, seed=0, prefix=1):
    generator = torch.Generator().manual_seed(seed)
    tokens = prefix + grid[0] * grid[1]
    rows = torch.randn(3, n, tokens, tokens, generator=generator).softmax(3)
    looked = [block[:, 0, prefix:].reshape(n, 1, *grid) for block in rows]
    return Case(
        torch.randn(n, 3, grid[0] * patch, grid[1] * patch, generator=generator),
        ImageInfo(
            labels=torch.randint(CLASSES, (n,), generator=generator),
            attention=looked[0],
            cam=torch.randn(n, 1, 2, 2, generator=generator),
        ),
        ModelOutputs(torch.randn(n, CLASSES, generator=generator), looked[-1], tuple(rows)),
    )


def only(given, names):
    """A named tuple with the required fields alone."""
    return given._replace(**{field: None for field in given._fields if field not in names})


def run(policy, given, lam, seed=0):
    """Mixed images, the Mixed with final weights, and the partners."""
    images, outputs = given.images, only(given.outputs, policy.requires_outputs)
    draws = draws_of(policy, images, lam, seed, grid=tuple(given.outputs.attention.shape[2:]))
    assert (draws.pairing is None) == policy.chooses_partners
    mixed = mix(policy, images, draws, only(given.info, policy.requires))
    assert mixed.final == (not policy.requires_outputs)
    final = mixed if mixed.final else reweighted(policy, mixed, outputs)
    return mixed, final, images[mixed.index[1]]


def sums_to_one(name):
    """Of TokenMix the shares of two maps need not."""
    return not name.startswith("tokenmix") or "normal" in name or "area" in name


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 5),
    grid=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    patch=st.integers(1, 4),
    lam=ANY_LAM,
    seed=st.integers(0, 1000),
)
def test_masks_and_labels(name, n, grid, patch, lam, seed):
    policy, given = VARIANTS[name](patch), case(n, grid, patch, seed)
    before = [part.clone() for part in (given.images, given.info.attention, given.info.cam)]
    mixed, final, partners = run(policy, given, lam, seed)
    for part, was in zip((given.images, given.info.attention, given.info.cam), before, strict=True):
        assert torch.equal(part, was)
    assert mixed.mask.shape == (n, 1, *given.images.shape[2:]) and mixed.mask.dtype == torch.float32
    assert ((mixed.mask == 0) | (mixed.mask == 1)).all()
    kept = mixed.mask.bool()
    if name == "smmix":  # whose windows move
        partners = torch.where(kept, partners, mixed.images)
    assert torch.equal(mixed.images, torch.where(kept, given.images, partners))
    assert final.weights.shape == (2, n)
    assert final.weights.min() >= -1e-6 and final.weights.max() <= 1 + 1e-6
    if sums_to_one(name):
        torch.testing.assert_close(final.weights.sum(0), torch.ones(n))
    share = mixed.mask.double().mean((1, 2, 3))
    if name.startswith(("transmix", "tla", "smmix")) or "area" in name:  # of the others it is a part of maps
        torch.testing.assert_close(share, mixed.weights[0].double(), atol=1e-6, rtol=0)
    if mixed.mask.all():
        torch.testing.assert_close(final.weights[0], torch.ones(n))


@pytest.mark.parametrize("name", VARIANTS)
def test_seeds_decide(name):
    given = case(grid=(8, 8))
    one, two = (run(VARIANTS[name](4), given, 0.4, 3)[1] for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.weights, two.weights)
    others = [run(VARIANTS[name](4), given, 0.4, seed)[1].images for seed in range(10)]
    assert any(not torch.equal(one.images, other) for other in others)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types(name, dtype):
    """Images keep theirs; masks and weights are float32, also of halves."""
    given = case()
    given = given._replace(images=given.images.to(dtype))
    mixed, final, _ = run(VARIANTS[name](4), given, 0.4)
    assert mixed.images.dtype == dtype and mixed.mask.dtype == torch.float32
    assert mixed.weights.dtype == final.weights.dtype == torch.float32


@pytest.mark.parametrize("name", VARIANTS)
def test_labels_are_as_exact_under_autocast(name):
    """Shares of attention are not rounded to halves."""
    given = case(grid=(6, 6))
    want = run(VARIANTS[name](4), given, 0.4)[1]
    with torch.autocast("cpu", torch.bfloat16):
        got = run(VARIANTS[name](4), given, 0.4)[1]
    torch.testing.assert_close(want.weights, got.weights, atol=1e-6, rtol=1e-6)


def on_meta(given):
    """Tensors without values: whatever would look at one fails, as it would wait on an accelerator."""
    if given is None or isinstance(given, torch.Tensor):
        return None if given is None else given.to("meta")
    parts = [on_meta(part) for part in given]
    return type(given)(*parts) if hasattr(given, "_fields") else tuple(parts)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_nothing_is_read_back(name, lam):
    mixed, final, _ = run(VARIANTS[name](4), on_meta(case()), lam)
    assert mixed.images.device.type == final.weights.device.type == "meta"


@pytest.mark.parametrize("name", VARIANTS)
def test_whose_weights_sum_to_one(name):
    sums = run(VARIANTS[name](4), case(), 0.4)[1].weights.sum(0)
    assert ((sums - 1).abs() < 1e-6).all() == sums_to_one(name)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith(("token", "tla", "smmix"))])
def test_labels_of_a_sample_do_not_depend_on_the_rest_of_the_batch(name):
    """The first and the last image are partners in the batch in reverse, however large it is."""
    given = case(n=6, grid=(6, 6))
    pair = torch.tensor([0, 5])
    small = Case(
        given.images[pair],
        given.info._replace(
            **{field: getattr(given.info, field)[pair] for field in ("labels", "attention", "cam")}
        ),
        ModelOutputs(
            given.outputs.logits[pair],
            given.outputs.attention[pair],
            tuple(block[pair] for block in given.outputs.attentions),
        ),
    )
    one, two = run(VARIANTS[name](4), given, 0.4)[1], run(VARIANTS[name](4), small, 0.4)[1]
    assert torch.equal(one.images[pair], two.images)
    torch.testing.assert_close(one.weights[:, pair], two.weights)


@pytest.mark.parametrize("name", ["transmix", "tokenmix", "tla", "mixpro", "smmix"])
def test_in_a_choice_with_mixup(name):
    """DeiT's recipe: the choice has the requirements of its policies."""
    policy = RandomChoice(("mixup", VARIANTS[name](4)), (0.8, 1.0), (0.0, 1.0))
    own = POLICIES[name]()
    assert policy.requires == own.requires and policy.requires_outputs == own.requires_outputs
    draws = draws_of(policy, case().images, 0.5, grid=(3, 4))
    chosen = policy.member(draws.member)
    assert type(chosen) is POLICIES[name] and chosen.cost == "attention"
    assert (draws.pairing is None) == own.chooses_partners
    mixed, own_draws = mix(policy, case().images, draws, case().info), draws._replace(member=())
    assert torch.equal(mixed.images, mix(chosen, case().images, own_draws, case().info).images)
