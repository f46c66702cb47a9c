"""What every policy for transformers promises, whatever its labels follow."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samix.mixup import (
    POLICIES,
    TLA,
    MixPro,
    ModelOutputs,
    Pairing,
    RandomChoice,
    ImageInfo,
    SMMix,
    TokenMix,
    TransMix,
    pair_and_mix,
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
    """A batch, what is known of it, and what a network would say of the mixed images."""

    images: torch.Tensor
    seen: ImageInfo
    outcome: ModelOutputs


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
    """A named tuple with nothing but what was asked for."""
    return given._replace(**{field: None for field in given._fields if field not in names})


def run(policy, given, lam, seed=0):
    """Mixed images, the Mixed with final weights, and the partners."""
    images = given.images
    pairing = Pairing(torch.arange(len(images), device=images.device).roll(1), everywhere=False)
    rng = np.random.default_rng(seed)
    seen = only(given.seen, policy.requires)
    mixed, chosen = pair_and_mix(policy, images, lambda: pairing, lam, generator=rng, info=seen)
    assert (mixed.relabel is not None) == bool(policy.after)
    final = mixed if mixed.relabel is None else mixed.relabel(only(given.outcome, policy.after))
    return mixed, final, chosen.of(images)


def weights(final, n):
    second = 1 - final.lam if final.lam_second is None else final.lam_second
    return (torch.as_tensor(one, dtype=torch.float32).expand(n) for one in (final.lam, second))


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
    before = [part.clone() for part in (given.images, given.seen.attention, given.seen.cam)]
    mixed, final, partners = run(policy, given, lam, seed)
    for part, was in zip((given.images, given.seen.attention, given.seen.cam), before, strict=True):
        assert torch.equal(part, was)
    assert final.relabel is None and final.images is mixed.images
    assert mixed.mask.shape == (n, 1, *given.images.shape[2:]) and mixed.mask.dtype == torch.float32
    assert ((mixed.mask == 0) | (mixed.mask == 1)).all()
    kept = mixed.mask.bool()
    if name == "smmix":  # whose windows move
        partners = torch.where(kept, partners, mixed.images)
    assert torch.equal(mixed.images, torch.where(kept, given.images, partners))
    for weight in weights(final, n):
        assert weight.min() >= -1e-6 and weight.max() <= 1 + 1e-6
    share = mixed.mask.double().mean((1, 2, 3))
    if name.startswith(("transmix", "tla", "smmix")) or "area" in name:  # of the others it is a part of maps
        torch.testing.assert_close(share, torch.full_like(share, mixed.lam), atol=1e-6, rtol=0)
    if mixed.mask.all():
        torch.testing.assert_close(final.lam, 1.0 if isinstance(final.lam, float) else torch.ones(n))


@pytest.mark.parametrize("name", VARIANTS)
def test_seeds_decide(name):
    given = case(grid=(8, 8))
    one, two = (run(VARIANTS[name](4), given, 0.4, 3)[1] for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(torch.as_tensor(one.lam), torch.as_tensor(two.lam))
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
    for weight in (final.lam, final.lam_second):
        assert not isinstance(weight, torch.Tensor) or weight.dtype == torch.float32


@pytest.mark.parametrize("name", VARIANTS)
def test_labels_are_as_exact_under_autocast(name):
    """Shares of attention are not rounded to halves."""
    given = case(grid=(6, 6))
    want = run(VARIANTS[name](4), given, 0.4)[1]
    with torch.autocast("cpu", torch.bfloat16):
        got = run(VARIANTS[name](4), given, 0.4)[1]
    for one, other in zip(weights(want, 4), weights(got, 4), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


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
    assert mixed.images.device.type == "meta" and (final.lam_second is None) == (
        not name.startswith("tokenmix") or "normal" in name or "area" in name
    )


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith(("token", "tla", "smmix"))])
def test_labels_of_a_sample_do_not_depend_on_the_rest_of_the_batch(name):
    """The first and the last image are partners in the batch in reverse, however large it is."""
    given = case(n=6, grid=(6, 6))
    pair = torch.tensor([0, 5])
    small = Case(
        given.images[pair],
        given.seen._replace(
            **{field: getattr(given.seen, field)[pair] for field in ("labels", "attention", "cam")}
        ),
        ModelOutputs(
            given.outcome.logits[pair],
            given.outcome.attention[pair],
            tuple(block[pair] for block in given.outcome.attentions),
        ),
    )
    one, two = run(VARIANTS[name](4), given, 0.4)[1], run(VARIANTS[name](4), small, 0.4)[1]
    assert torch.equal(one.images[pair], two.images)
    for large, little in zip(weights(one, 6), weights(two, 2), strict=True):
        torch.testing.assert_close(large[pair], little)


@pytest.mark.parametrize("name", ["transmix", "tokenmix", "tla", "mixpro", "smmix"])
def test_in_a_choice_with_mixup(name):
    """DeiT's recipe: it hands on what its policies need."""
    policy = RandomChoice(("mixup", VARIANTS[name](4)), (0.8, 1.0), (0.0, 1.0))
    own = POLICIES[name]()
    assert policy.requires == own.requires and policy.after == own.after
    chosen, lam = policy.drawn(0.5, np.random.default_rng(0))
    assert type(chosen) is POLICIES[name] and chosen.cost == "V"
    run(chosen, case(), lam)
