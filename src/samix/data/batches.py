"""Batches as a function of (seed, step, rank), so that a resumed run loads the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.random import Stream, generator_for
from samix.core.step import StepContext
from samix.data.augment import Transform
from samix.data.prefetch import Prefetch, read_ahead
from samix.data.store import ImageStore, ReadingStore, chunks


class TwoViews(NamedTuple):
    """Views (n, 3, S, S) of the same images, their positions in the store and labels, both int64 (n,)."""

    view_q: Tensor
    view_k: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a batch has no use for
    labels: Tensor


class Labelled(NamedTuple):
    """Images (n, 3, S, S), their labels and positions in the store, both int64 (n,)."""

    images: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a batch has no use for


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """Permutation of 0..n-1 of one epoch, int64 (n,)."""
    return torch.randperm(n, generator=generator_for(seed, Stream.ORDER, epoch))


class GlobalBatches:
    """The images of a rank at a step: its slice of the global batch, epochs shuffled, remainder dropped.

    If the store decodes images when they are fetched, the images of the next steps are read ahead.

    Args: batch_size of all ranks together; seed of the order. Raises: ConfigError for a batch larger than the
    store.
    """

    def __init__(self, store: ImageStore, batch_size: int, seed: int) -> None:
        if batch_size > len(store):
            raise ConfigError(f"batch_size={batch_size} is larger than the {len(store)} images: lower it")
        self.store = store
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = len(store) // batch_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)
        self._ahead = Prefetch(store.read, self.positions) if isinstance(store, ReadingStore) else None

    def positions(self, ctx: StepContext) -> Tensor:
        """Positions of this rank's images, int64 (batch_size / world_size,) on the CPU.

        Raises: ConfigError if the batch size is not a multiple of the number of ranks.
        """
        if self.batch_size % ctx.world_size:
            raise ConfigError(
                f"batch_size={self.batch_size} cannot be shared by {ctx.world_size} processes: "
                "make it a multiple of training.devices"
            )
        epoch, step = divmod(ctx.step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(len(self.store), self.seed, epoch)
        share = self.batch_size // ctx.world_size
        start = step * self.batch_size + ctx.rank * share
        return self._order[start : start + share]

    def read(self, ctx: StepContext) -> Labelled:
        """Fetch this rank's raw uint8 images with labels and positions, on ctx.device."""
        positions = self.positions(ctx)
        fetched = self.store.fetch(positions) if self._ahead is None else self._ahead.fetch(ctx)
        images = fetched.to(ctx.device, non_blocking=True)
        labels = self.store.labels[positions.to(self.store.labels.device, non_blocking=True)]
        return Labelled(
            images, labels.to(ctx.device, non_blocking=True), positions.to(ctx.device, non_blocking=True)
        )


class TwoViewBatches(GlobalBatches):
    """Two augmented views of every image, with streams "augment_q" and "augment_k" of the step."""

    def __init__(self, store: ImageStore, augment: Transform, batch_size: int, seed: int) -> None:
        super().__init__(store, batch_size, seed)
        self.augment = augment

    def load(self, ctx: StepContext) -> TwoViews:
        """Return this rank's part of the global batch of ctx.step."""
        raw = self.read(ctx)
        view_q = self.augment(raw.images, ctx.generator(Stream.AUGMENT_Q))
        view_k = self.augment(raw.images, ctx.generator(Stream.AUGMENT_K))
        return TwoViews(view_q, view_k, raw.index, raw.labels)


class LabelledBatches(GlobalBatches):
    """One transformed image and its label, with stream "augment" of the step."""

    def __init__(self, store: ImageStore, transform: Transform, batch_size: int, seed: int) -> None:
        super().__init__(store, batch_size, seed)
        self.transform = transform

    def load(self, ctx: StepContext) -> Labelled:
        """Return this rank's part of the global batch of ctx.step."""
        raw = self.read(ctx)
        return raw._replace(images=self.transform(raw.images, ctx.generator(Stream.AUGMENT)))


def iterate(store: ImageStore, transform: Callable[[Tensor], Tensor], batch_size: int) -> Iterator[Tensor]:
    """Normalised images (<= batch_size, 3, S, S) of the whole store, in its order, on its device.

    If the store decodes images when they are fetched, the next ones are read ahead.
    """
    parts = chunks(len(store), batch_size)
    if isinstance(store, ReadingStore):
        for images in read_ahead(store.read, parts):
            yield transform(images.to(store.labels.device, non_blocking=True))
    else:
        for positions in parts:
            yield transform(store.fetch(positions))
