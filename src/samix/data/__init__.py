"""Images: sources, checks, stores, batched augmentation and the order of training.

A `Source` lists the rows of a data set and reads their pixels. `prepare` lists, checks and describes the set
once: it returns a manifest (one row per image) and a card (sizes, mean and std, classes, counts). `Images` is
the picklable handle of both, which stages and worker processes share.

`open_images` returns an `ImageStore` of one split: square uint8 images by position, in memory if they fit,
else decoded when they are fetched. A `Transform` (`Augment`, `CropFlip`, `SupervisedAugment`, `Normalize`)
converts a batch of uint8 images to normalised float views on their device, with explicit generators.

`TwoViewBatches` and `LabelledBatches` combine a store and a transform. The batch of a step is a pure function
of (seed, step, rank), so that a resumed run loads the same batches; nothing has to be saved.
"""

from __future__ import annotations

from samix.data.augment import Augment, CropFlip, Normalize, Transform
from samix.data.batches import Labelled, LabelledBatches, TwoViewBatches, TwoViews, epoch_order, iterate
from samix.data.images import Images
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
