"""Mix a batch by the draws of a step."""

from __future__ import annotations

from torch import Tensor

from samix.mixup.draws import MixDraws
from samix.mixup.pairing import Pairing
from samix.mixup.policy import NOTHING, ImageInfo, Mixed, PairInfo, Policy


def mix(
    policy: Policy,
    images: Tensor,
    draws: MixDraws,
    info: ImageInfo = NOTHING,
    others: tuple[Tensor, ImageInfo] | None = None,
) -> Mixed:
    """Mix `images` (N, 3, H, W) with their partners; a pure function of tensors and draws.

    Args: info on the images; others, images and the information on them from which the second parents are
    selected, another view of the same batch; None: `images` themselves.
    """
    member = policy.member(draws.member)
    first = member.info_from(images, info)
    pairing = draws.pairing
    if pairing is None:
        partners = member.choose_partners(first, len(images), images.device)
        pairing = Pairing(partners, everywhere=False)
    if others is None:
        other_images, second = images, first
    else:
        other_images, second = others[0], member.info_from(*others)
    pair = PairInfo(first, pairing.select(second))
    mixed: Mixed = member(images, other_images, pairing, draws.policy, pair)
    return mixed
