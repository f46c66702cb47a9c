"""Randomness as a function of (seed, purpose, numbers), so that a resumed run draws the same numbers."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import numpy as np
import torch


class Stream(StrEnum):
    """Purposes of random streams. Their values seed the draws: another value is another run.

    The draws of a training are seeded by its label and name as well (`fit`). Some purposes are followed by a
    name or a number: limit_<split>, cluster_head/<epoch>, scenes/<split>.
    """

    # initial weights and memories
    BACKBONE = "backbone"
    PROJECTOR = "projector"
    HEADS = "heads"
    LINEAR_HEAD = "linear_head"
    CLUSTER_HEAD = "cluster_head"
    ODC_HEAD = "odc_head"
    DETECTOR = "detector"
    QUEUE = "queue"
    KMEANS = "kmeans"
    RENEW = "renew"
    RANDOM_HALVES = "random_halves"
    # data
    SPLIT = "split"
    LIMIT = "limit"
    ORDER = "order"
    SCENES = "scenes"
    AUGMENT = "augment"
    AUGMENT_Q = "augment_q"
    AUGMENT_K = "augment_k"
    FLIP = "flip"
    # a training step; MIXER seeds the initial weights of the Mixer, too
    LAM = "lam"
    PAIRING = "pairing"
    POLICY = "policy"
    SHUFFLE = "shuffle"
    LAM_MIXER = "lam_mixer"
    PAIRING_MIXER = "pairing_mixer"
    MIXER = "mixer"
    SWITCH_OFF = "switch_off"
    PLAIN_MIX = "plain_mix"
    PAIRING_PLAIN = "pairing_plain"
    GLOBAL = "global"


def seed_for(seed: int, purpose: str, *numbers: int) -> int:
    """Seed of an independent stream, in [0, 2**63), equal in every process and after a restart.

    Args: seed of the run; purpose, a name such as "augment_q"; numbers, usually step and rank.
    """
    text = "/".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_for(
    seed: int, purpose: str, *numbers: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh torch generator of the stream `seed_for(seed, purpose, *numbers)` on `device`."""
    return torch.Generator(device).manual_seed(seed_for(seed, purpose, *numbers))


def numpy_generator_for(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A fresh NumPy generator of the same stream, for scalars, which need no device."""
    return np.random.default_rng(seed_for(seed, purpose, *numbers))
