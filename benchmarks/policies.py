"""Cost of mixing, alone and in a training step: python benchmarks/policies.py

One row per policy of `samix.mixup.POLICIES`, with its default options:

* images_per_s: mixing alone, of policies that require only images and labels. The time is that of everything
  between a batch and its loss except the network: draws, pairing, mixed images, and the mixed cross-entropy
  of given logits.
* ratio_timm, ratio_torchvision: time of timm's Mixup, or of torchvision's v2.MixUp and v2.CutMix, over that
  of ours, with the same Beta distribution and the same logits; 1 and more is the goal. Theirs make targets
  (N, C) and take one cross-entropy, ours takes one for each parent. timm pairs a batch with itself reversed
  and overwrites it, torchvision with itself moved by one; ours draws a permutation and leaves the batch as it
  is. "lam: sample" is measured against timm's mode "elem".
* backbone, ratio_plain: time of a supervised step with the policy, as `fit` takes it, over that of a step
  without mixing. Policies that a convolutional network cannot serve are measured with --vit. Networks that a
  policy uses have the architecture of the trained one.

The compared versions take turns in one process. All weights are random.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hosts import MEAN, STD, FixedBatches, Steps
from measuring import Rows, alternate, finish, parser, waiting_for
from timm.data.mixup import Mixup as TimmMixup
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from samix.config.adautomix import AdAutoMixConfig
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig
from samix.config.supervised import SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.core.step import BatchShape
from samix.data import Labelled
from samix.methods.adversarial import AdversarialTraining
from samix.methods.mixer_training import MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import (
    POLICIES,
    AdAutoMix,
    ImageInfo,
    Mixer,
    Pairing,
    Policy,
    SAMix,
    SAMixP,
    draw_local_pairing,
    draw_policy,
    draw_ratio,
    expanded,
    mix,
    mixed_term,
)
from samix.mixup.policies.adautomix import AdversarialMixer
from samix.mixup.table import SCENARIOS, example, incompatibility
from samix.nn import Backbone, Classifier, build_backbone
from samix.objectives import ClassObjective, MixedCE
from samix.training.launch import resolve_precision

CLASSES = 100
MIXES = 20
"""Batches mixed in one measurement."""
EACH = ", lam: sample"
Theirs = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Networks(NamedTuple):
    """A backbone and the batch it is trained on."""

    config: BackboneConfig
    size: int
    batch: int


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    training = TrainingConfig(precision=arguments.precision, device=arguments.device, work_dir=".")
    arguments.precision = resolve_precision(training)
    AcceleratorState._reset_state(reset_partial_state=True)
    cpu = arguments.device == "cpu" or not torch.cuda.is_available()
    accelerator = Accelerator(cpu=cpu, mixed_precision=arguments.precision)
    # as a process that trains: having once let go of this much, glibc keeps memory instead of returning it,
    # after which the page faults of the next allocation would take longer than mixing
    torch.zeros(31 * 2**20, dtype=torch.uint8)
    rows = []
    for name in arguments.policies:
        rows.append(_row(name, arguments, accelerator))
        if name in _theirs("elem"):
            rows.append(_alone(name, arguments, accelerator.device, per_sample=True))
    note = (
        f"{arguments.backbone}, {arguments.size} px, batch {arguments.batch}; {arguments.vit}, "
        f"{arguments.vit_size} px, batch {arguments.vit_batch}; precision {arguments.precision}, "
        f"{accelerator.device.type}"
    )
    finish(rows, arguments, note)
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    made.add_argument("--backbone", default="resnet18", help="a convolutional network")
    made.add_argument("--channels", type=int, nargs=4, help="widths of a ResNet's stages, for quick looks")
    made.add_argument("--size", type=int, default=32)
    made.add_argument("--batch", type=int, default=100)
    made.add_argument("--vit", default="deit_small_patch16_224", help="a transformer with a class token")
    made.add_argument("--vit-tap", type=int, help="tap of its Mixer, if the table of backbones has none")
    made.add_argument("--vit-size", type=int, default=224)
    made.add_argument("--vit-batch", type=int, default=16)
    made.add_argument("--precision", default="no", choices=["no", "bf16", "auto"])
    made.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    made.add_argument("--steps", type=int, default=1, help="steps of one measurement; 0: mixing alone")
    return made


def _row(name: str, arguments: argparse.Namespace, accelerator: Accelerator) -> dict[str, Any]:
    """Mixing alone, if that is possible, and the step."""
    row = _alone(name, arguments, accelerator.device)
    if not arguments.steps:
        return row
    networks = _networks(name, arguments)
    kind = networks.config.name
    batch = FixedBatches(_batch(networks.size, networks.batch, accelerator.device))
    work = {who: Steps(_host(who, networks), batch, accelerator) for who in (name, "none")}
    timed = {who: _times(steps, arguments.steps) for who, steps in work.items()}
    seconds = alternate(timed, arguments.rounds, waiting_for(accelerator.device))
    accelerator.free_memory()
    return row | {"backbone": kind, "ratio_plain": seconds[name] / seconds["none"]}


def _times(steps: Steps, number: int) -> Callable[[], None]:
    return lambda: steps(number)


def _batch(size: int, n: int, device: torch.device) -> Labelled:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, size, size, generator=generator).to(device)
    labels = torch.randint(CLASSES, (n,), generator=generator).to(device)
    return Labelled(images, labels, torch.arange(n, device=device))


def _alone(
    name: str, arguments: argparse.Namespace, device: torch.device, *, per_sample: bool = False
) -> dict[str, Any]:
    """The row of mixing alone; without figures if a policy requires more than images and labels."""
    policy = example(name).to(device)
    row = dict.fromkeys(("images_per_s", "ratio_timm", "ratio_torchvision", "backbone", "ratio_plain"))
    row = {"name": name + EACH * per_sample, "cost": policy.cost, **row}
    inside = policy.mixes_features != "never"
    if policy.cost != "static" or inside or policy.requires - {"labels"} or policy.many_parents:
        return row
    batch = _batch(arguments.size, arguments.batch, device)
    logits = torch.randn(arguments.batch, CLASSES, device=device)
    work = {"own": _mixing(policy, batch, logits, per_sample=per_sample)}
    if name in _theirs("batch"):
        timm, torchvision = _theirs("elem" if per_sample else "batch")[name]
        work["timm"] = _their_mixing(timm, batch, logits)
        if not per_sample:
            work["torchvision"] = _their_mixing(torchvision, batch, logits)
    seconds = alternate(work, arguments.rounds, waiting_for(device))
    ratios = {f"ratio_{who}": taken / seconds["own"] for who, taken in seconds.items() if who != "own"}
    return row | {"images_per_s": MIXES * arguments.batch / seconds["own"]} | ratios


def _mixing(policy: Policy, batch: Labelled, logits: Tensor, *, per_sample: bool) -> Callable[[], None]:
    order, rng, criterion = (
        torch.Generator().manual_seed(0),
        np.random.default_rng(0),
        MixedCE(ClassObjective()),
    )
    images, labels, n = batch.images, batch.labels, len(batch.labels)
    shape = BatchShape(n, images.shape[2], images.shape[3])

    def pair(member: Policy) -> Pairing:  # noqa: ARG001
        return draw_local_pairing(n, order, no_repeat=False)

    def once() -> None:
        drawn = draw_policy(policy, draw_ratio(1.0, n, rng, per_sample=per_sample), rng, shape, pair)
        draws = expanded(policy, drawn, shape, images.device)
        mixed = mix(policy, images, draws, ImageInfo(labels=labels))
        mixed_term(criterion, logits, mixed, labels, labels)

    return lambda: _repeat(once)


def _their_mixing(theirs: Theirs, batch: Labelled, logits: Tensor) -> Callable[[], None]:
    images = batch.images.clone()  # timm's to overwrite
    return lambda: _repeat(lambda: F.cross_entropy(logits, theirs(images, batch.labels)[1]))


def _repeat(do: Callable[[], Any]) -> None:
    for _ in range(MIXES):
        do()


def _theirs(mode: str) -> dict[str, tuple[Theirs, Theirs]]:
    """timm's and torchvision's mixing, by our names."""
    same = {"mode": mode, "label_smoothing": 0.0, "num_classes": CLASSES}
    return {
        "mixup": (TimmMixup(1.0, 0.0, **same), v2.MixUp(num_classes=CLASSES)),
        "cutmix": (TimmMixup(0.0, 1.0, **same), v2.CutMix(num_classes=CLASSES)),
    }


def _networks(name: str, arguments: argparse.Namespace) -> Networks:
    """The convolutional network, or the transformer for policies that it cannot serve."""
    if incompatibility(example(name), SCENARIOS["class, CNN"]) is None:
        stem = "cifar" if arguments.size <= 64 else "imagenet"
        channels = tuple(arguments.channels) if arguments.channels else None
        config = BackboneConfig(name=arguments.backbone, stem=stem, channels=channels)
        return Networks(config, arguments.size, arguments.batch)
    sizes = {"image_size": arguments.vit_size, "tap": arguments.vit_tap}
    config = BackboneConfig(name=arguments.vit, stem="imagenet", **sizes)
    return Networks(config, arguments.vit_size, arguments.vit_batch)


def _host(name: str, networks: Networks) -> Supervised:
    """The supervised host with a policy; "none": without one."""
    torch.manual_seed(0)
    config = SupervisedConfig(batch_size=networks.batch)
    backbone = build_backbone(networks.config)
    policy, training = (None, None) if name == "none" else _policy(name, networks, backbone)
    classifier = Classifier(backbone, CLASSES, head_names(config, policy), shared=False)
    return Supervised(classifier, config, policy=policy, mixer_training=training)


def _policy(name: str, networks: Networks, backbone: Backbone) -> tuple[Policy, MixerTraining | None]:
    """The policy, and how it is trained along; `backbone` is the one that is trained."""
    kind, options, adjust = POLICIES[name], SupervisedMixerConfig(), MaskAdjustConfig()
    if issubclass(kind, AdAutoMix):
        network = AdversarialMixer(backbone.tap_channels, options.mixer.init_std)
        policy = kind(network, AdAutoMixConfig())
        return policy, AdversarialTraining(policy, options)
    if issubclass(kind, SAMixP):
        other = build_backbone(networks.config)
        mixer = Mixer(other.tap_channels, options.mixer)
        return kind(other, mixer, adjust, trained_on=(MEAN, STD)), None
    if issubclass(kind, SAMix):
        training = MixerTraining(Mixer(backbone.tap_channels, options.mixer), options)
        return kind(training.mixer, adjust), training
    if name == "attentivemix":
        return kind(network=LastMap(build_backbone(networks.config))), None
    if name == "supermix":
        other = build_backbone(networks.config)
        return kind(network=nn.Sequential(other.net, nn.Linear(other.width, CLASSES))), None
    return kind.example(), None


class LastMap(nn.Module):
    """A backbone's last features before pooling."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> (N, C, h, w)."""
        return self.backbone.last_map(images)


if __name__ == "__main__":
    main()
