"""Randomness as a function of (seed, purpose, numbers): a resumed run draws what it would have drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def seed_for(seed: int, purpose: str, *numbers: int) -> int:
    """Seed of an independent stream, in [0, 2**63), the same in every process and after a restart.

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
    """A fresh NumPy generator of the same stream; for scalars, which then need no device."""
    return np.random.default_rng(seed_for(seed, purpose, *numbers))


LAM, PAIRING, POLICY, SHUFFLE = "lam", "pairing", "policy", "shuffle"
LAM_MIXER, PAIRING_MIXER, MIXER, SWITCH_OFF = "lam_mixer", "pairing_mixer", "mixer", "switch_off"
PLAIN_MIX, PAIRING_PLAIN = "plain_mix", "pairing_plain"
"""Streams of a training step. Their names seed the draws: another name is another run."""
