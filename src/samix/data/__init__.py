"""Images: sources, checks, stores, batched augmentation and the order of training."""

from __future__ import annotations

from samix.data.augment import Augment, CropFlip, Normalize, Transform
from samix.data.images import Images
from samix.data.order import Labelled, LabelledBatches, TwoViewBatches, TwoViews, epoch_order, iterate
from samix.data.prepare import Prepared, open_images, prepare, pretraining_split
from samix.data.store import ImageStore, MemoryStore, ReadingStore
from samix.data.supervised import SupervisedAugment

__all__ = [
    "Augment",
    "CropFlip",
    "ImageStore",
    "Images",
    "Labelled",
    "LabelledBatches",
    "MemoryStore",
    "Normalize",
    "Prepared",
    "ReadingStore",
    "SupervisedAugment",
    "Transform",
    "TwoViewBatches",
    "TwoViews",
    "epoch_order",
    "iterate",
    "open_images",
    "prepare",
    "pretraining_split",
]
