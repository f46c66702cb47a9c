"""Figures of the paper and of its released configurations, by environment, in the words of its tables."""

from typing import Any, NamedTuple

import pytest

CIFAR_STATISTICS = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SGD = "sgd"  # without Nesterov's momentum


class Recipe(NamedTuple):
    """A row of the tables of the paper and its released configurations.

    encoder: optimiser's name, lr, min_lr and weight decay; mixer: name, lr, min_lr; end: of supervised.ema;
    tap: channels and side of the Mixer's map; more: other parameters; changes: single parameters for a
    network without an environment, as --params has them.
    """

    network: str
    size: int
    classes: int
    epochs: int
    batch: int
    encoder: tuple[str, float, float, float]
    mixer: tuple[str, float, float]
    k: float
    dropout: float
    eta: float
    end: float
    tap: tuple[int, int]
    more: dict[str, Any] = {}
    changes: dict[str, Any] = {}


CIFAR = Recipe(
    network="resnet18",
    size=32,
    classes=100,
    epochs=200,
    batch=100,
    encoder=(SGD, 0.1, 0.05, 1e-4),
    mixer=(SGD, 0.1, 0.05),
    k=0.25,
    dropout=0,
    eta=0.5,
    end=0.999999,
    tap=(256, 8),
    more={"supervised.augment.crop": "pad", "supervised.augment.pad": 4},
)
IMAGENET = Recipe(
    network="resnet50",
    size=224,
    classes=1000,
    epochs=100,
    batch=256,
    encoder=(SGD, 0.1, 0, 1e-4),
    mixer=(SGD, 0.1, 1e-3),
    k=-1,
    dropout=0.1,
    eta=0.1,
    end=0.99999,
    tap=(1024, 14),
    more={
        "data_preparation.stored_size": 256,
        "supervised.augment.crop_scale": (0.08, 1.0),
        "supervised.augment.interpolation": "bicubic",
    },
)
FINE = IMAGENET._replace(
    network="resnet18.tv_in1k",
    epochs=200,
    batch=16,
    encoder=(SGD, 1e-3, 0, 5e-4),
    mixer=(SGD, 0.01, 5e-4),
    k=1,
    eta=0.5,
    tap=(256, 14),
    more={
        "model.backbone.pretrained": True,
        "supervised.no_repeat": True,
        "supervised.augment.crop_scale": (0.5, 1.0),
    },
)


def transformer(like, network, tap, drop_path, warmup, encoder, mixer, **more):
    """Settings shared by the recipes of transformers and ConvNeXt; lr and min_lr are arguments."""
    both = {"name": "adamw", "weight_decay": 0.05, "warmup": pytest.approx(warmup, rel=1e-3)}
    both |= {"per_epoch": False, "decay_all": False}
    options = {
        "model.backbone.drop_path": drop_path,
        "supervised.label_smoothing": 0.1,
        "supervised.ema.hold": 0.25,
        **{f"{part}.optimizer.{key}": value for part in PARTS for key, value in both.items()},
    }
    return like._replace(
        network=network,
        k=-1,
        dropout=0.1,
        encoder=("adamw", *encoder, 0.05),
        mixer=("adamw", *mixer),
        tap=tap,
        more=options | {key.replace("__", "."): value for key, value in more.items()},
    )


PARTS = ("supervised", "mixer_pretraining_sl")
DEIT, SWIN = "deit_small_patch16_224", "swin_tiny_patch4_window7_224"
CIFAR_FORMER = {
    "supervised__augment__rand_augment": "rand-m7-n2-mstd0.5",
    "supervised__optimizer__clip_grad": 20,
}
CIFAR_224 = CIFAR_FORMER | {
    "supervised__augment__crop_scale": (0.8, 1.0),
    "mixer_pretraining_sl__mixer__upsample": "nearest",
}
IMAGENET_FORMER = {
    "supervised__augment__rand_augment": "rand-m9-mstd0.5-inc1",
    "supervised__augment__crop_scale": (0.08, 1.0),
    "supervised__augment__saturation": 0.4,
    "supervised__augment__erasing": 0.25,
    "supervised__optimizer__clip_grad": 5,
    "mixer_pretraining_sl__mixer__upsample": "nearest",
    "mixer_pretraining_sl__switch_off": 0.8,
}
SLOW_CIFAR = CIFAR._replace(end=0.99996)
LARGE_CIFAR = SLOW_CIFAR._replace(size=224)
LONG_IMAGENET = IMAGENET._replace(epochs=300, batch=1024)
TINY = CIFAR._replace(
    size=64,
    classes=200,
    epochs=400,
    encoder=(SGD, 0.2, 0.05, 1e-4),
    mixer=(SGD, 0.1, 1e-3),
    k=-1,
    tap=(256, 16),
    more={"supervised.augment.crop": "resized", "supervised.augment.crop_scale": (0.08, 1.0)},
)
INAT = IMAGENET._replace(mixer=(SGD, 0.1, 1e-4))
RX50 = "resnext50_32x4d"
RECIPES = {
    "cifar10": CIFAR._replace(classes=10),
    "cifar100": CIFAR,
    "cifar100 ResNeXt-50": CIFAR._replace(network=RX50, tap=(1024, 8), changes={"model.backbone.name": RX50}),
    "cifar100_wrn28_8": CIFAR._replace(
        network="wrn28_8",
        epochs=400,
        encoder=(SGD, 0.03, 1e-3, 1e-3),
        mixer=(SGD, 0.03, 1e-3),
        tap=(256, 16),
        more={"mixer_pretraining_sl.optimizer.momentum": 0, "supervised.optimizer.momentum": 0.9},
    ),
    "cifar100_deit_small": transformer(
        LARGE_CIFAR, DEIT, (384, 14), 0.1, 20 / 200, (7.5e-4, 1e-4), (7.5e-4, 1e-4), **CIFAR_224
    ),
    "cifar100_swin_tiny": transformer(
        LARGE_CIFAR, SWIN, (768, 7), 0.2, 20 / 200, (5e-4, 1e-4), (5e-4, 1e-4), **CIFAR_224
    ),
    "cifar100_convnext_tiny": transformer(
        SLOW_CIFAR, "convnext_tiny", (384, 8), 0.3, 20 / 200, (1e-3, 1e-4), (7.5e-4, 1e-4), **CIFAR_FORMER
    ),
    "tiny_imagenet": TINY,
    "tiny_imagenet ResNeXt-50": TINY._replace(
        network=RX50,
        k=0.25,
        tap=(1024, 16),
        changes={"model.backbone.name": RX50, "mixer_pretraining_sl.mixer.rescale_k": 0.25},
    ),
    "stl10": CIFAR._replace(
        network="resnet50",
        size=96,
        classes=10,
        k=-1,
        tap=(1024, 6),
        more={"supervised.augment.crop_scale": (0.2, 1)},
    ),
    "imagenet": IMAGENET,
    "imagenet_deit_small": transformer(
        LONG_IMAGENET, DEIT, (384, 14), 0.1, 5 / 300, (1e-3, 1e-5), (1e-3, 1e-4), **IMAGENET_FORMER
    ),
    "imagenet_swin_tiny": transformer(
        LONG_IMAGENET, SWIN, (768, 7), 0.2, 20 / 300, (1e-3, 1e-5), (1e-3, 1e-4), **IMAGENET_FORMER
    ),
    "imagenet_resnet50_rsb_a3": IMAGENET._replace(
        size=160,
        batch=2048,
        encoder=("lamb", 8e-3, 1e-6, 0.02),
        tap=(1024, 10),
        more={
            "supervised.augment.rand_augment": "rand-m6-mstd0.5-inc1",
            "supervised.optimizer.warmup": 5 / 100,
            "supervised.optimizer.per_epoch": False,
            "supervised.optimizer.decay_all": False,
        },
    ),
    "inat2017": INAT._replace(classes=5089),
    "inat2018": INAT._replace(classes=8142),
    "places205": INAT._replace(network="resnet18", classes=205, tap=(256, 14)),
    "cub200": FINE._replace(classes=200),
    "aircraft": FINE._replace(classes=100, end=0.99996),
}
# MoCo's part: images, queue, epochs, lr of the linear evaluation, k, dropout
SSL = {
    "cifar100": (50_000, 16384, 1000, 1.0, 0.25, 0.0),
    "tiny_imagenet": (100_000, 16384, 1000, 0.1, -1, 0.0),
    "stl10": (100_000, 16384, 1000, 0.1, -1, 0.0),
    "imagenet": (1_281_167, 65536, 200, 30.0, -1, 0.1),
}
