"""Passes over the images of a split: unreadable images, checksums, mean and standard deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from samix.core.errors import DataError
from samix.data.readers import Reader
from samix.data.store import ImageStore, chunks

_CHUNK = 1024
# A set of images of one colour has deviation 0; one grey level keeps the normalisation finite.
_SMALLEST_STD = 1 / 255


@dataclass(frozen=True)
class Survey:
    """checksums: hex, one per image, "" if it is unreadable; problems: one message per unreadable image."""

    checksums: list[str]
    problems: list[str]


def survey(reader: Reader) -> Survey:
    """Read every image of `reader` once, as it is stored."""
    outcomes = reader.map(lambda position: _checksum(reader, position), range(len(reader)))
    return Survey([checksum for checksum, _ in outcomes], [problem for _, problem in outcomes if problem])


def overall_checksum(parts: Sequence[str]) -> str:
    """Hex checksum of a sequence of texts, order included."""
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def channel_statistics(store: ImageStore) -> tuple[list[float], list[float]]:
    """Mean and standard deviation (3,) of the pixels of a store, in [0, 1].

    Sums are integers, hence exact: the result does not depend on chunks or threads.
    """
    total, squares, count = torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), 0
    for part in chunks(len(store), _CHUNK):
        pixels = store.fetch(part).to(torch.int64)
        total += pixels.sum((0, 2, 3))
        squares += pixels.square().sum((0, 2, 3))
        count += pixels[:, 0].numel()
    mean = total.double() / count / 255
    variance = squares.double() / count / 255**2 - mean.square()
    std = variance.clamp_min(0).sqrt().clamp_min(_SMALLEST_STD)
    return [round(value, 6) for value in mean.tolist()], [round(value, 6) for value in std.tolist()]


def _checksum(reader: Reader, position: int) -> tuple[str, str]:
    try:
        pixels = reader.original(position)
    except DataError as error:
        return "", str(error)
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.tobytes())
    return digest.hexdigest(), ""
