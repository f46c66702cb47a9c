"""The numbered steps of SAMix as a plain reading of the list writes them: eager, float32, term by term.

Contiguous layout, one Python loop over the parameters for the moving average, one forward for each quantity
that the list names, checks of values if the list contains them, PyTorch's default optimiser.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from hosts import SUPERVISED, Setup
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.ssl import MoCoConfig

ETA, BETA, MARGIN, LAM_MARGIN, TEMPERATURE, EMA = 0.5, 0.1, 0.1, 0.08, 0.2, 0.999


class PlainMixer(nn.Module):
    """Maps and lam in, mask of the first parent out (SAMix, Mixer)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.query, self.key = nn.Conv2d(2 * channels, half, 1), nn.Conv2d(2 * channels, half, 1)
        self.content = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ELU(),
            nn.Conv2d(half, 1, 1, bias=False),
        )
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, first: Tensor, second: Tensor, lam: float, size: Any) -> Tensor:
        """Maps (N, C, h, w) -> (N, 1, H, W)."""
        first, second = first * (1 + self.gamma * lam), second * (1 + self.gamma * (1 - lam))
        content = self.content(second).flatten(2).transpose(1, 2)
        pair = torch.cat([first, second], 1)
        query, key = self.query(pair).flatten(2).transpose(1, 2), self.key(pair).flatten(2)
        logits = query @ key / math.sqrt(query.shape[2])
        if torch.isinf(logits).any():
            logits = logits.clamp(-1e25, 1e25)
        mixed = (torch.softmax(logits, -1) @ content).transpose(1, 2).reshape(len(first), 1, *first.shape[2:])
        mask = torch.sigmoid(F.interpolate(mixed, size=size, mode="bilinear", align_corners=False))
        if torch.isnan(mask).any():
            mask = torch.nan_to_num(mask, 1e-4)
        return 1 - mask


class NaiveSteps:
    """The step called `name`, of SUPERVISED or MOCO, on one fixed batch or on images to augment."""

    def __init__(self, name: str, setup: Setup, load: Any) -> None:
        torch.manual_seed(0)
        backbone = setup.network()
        self.name, self.setup, self.tap, self.load = name, setup, backbone.tap, load
        self.ssl = name not in SUPERVISED
        self.net = self._contiguous(backbone.net)
        self.heads = nn.ModuleDict({"plain": self._head(backbone.width), "mixed": self._head(backbone.width)})
        self.slow_net, self.slow_heads = copy.deepcopy(self.net), copy.deepcopy(self.heads)
        for parameter in [*self.slow_net.parameters(), *self.slow_heads.parameters()]:
            parameter.requires_grad_(False)
        self.frozen = self._contiguous(setup.network().net).eval()
        self.mixer = PlainMixer(backbone.tap_channels)
        self.cluster_head = nn.Linear(backbone.width, setup.clusters)
        queue = F.normalize(torch.randn(setup.queue, MoCoConfig().projector.out), dim=1)
        self.queue, self.position = queue.to(setup.device), 0
        for part in (self.net, self.heads, self.slow_net, self.slow_heads, self.frozen, self.mixer):
            part.to(setup.device)
        self.cluster_head.to(setup.device)
        trained = nn.ModuleList([self.net, self.heads, self.mixer, self.cluster_head])
        self.optimizer = torch.optim.SGD(trained.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)

    def __call__(self, steps: int) -> None:
        """Take steps."""
        for _ in range(steps):
            loss = self._moco() if self.ssl else self._supervised()
            if torch.isnan(loss):
                continue
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.name == "samix":
                self._follow()

    def _supervised(self) -> Tensor:
        x, y, _ = self.load()
        loss = torch.zeros((), device=x.device)
        maps = self._maps(x)
        if self.name in ("vanilla", "samix"):
            loss = loss + F.cross_entropy(self._out(self.net, self.heads["plain"], x), y)
        if self.name == "vanilla":
            return loss
        index, lam = torch.randperm(len(x)).to(x.device), self._lam()
        mixed = self._encoder_mix(x, maps, index, lam, LAM_MARGIN, adjust=self.name == "samix_p")
        out = self._out(self.net, self.heads["mixed"], mixed)
        loss = loss + lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[index])
        if self.name == "samix":
            index, lam = torch.randperm(len(x)).to(x.device), self._lam()
            mixed, penalty = self._mixer_mix(x, maps, index, lam)
            out = self._out(self.slow_net, self.slow_heads["mixed"], mixed)
            loss = loss + self._class_loss(out, y, y[index], lam) + BETA * penalty
        return loss

    def _moco(self) -> Tensor:
        x_q, x_k, image, _ = self.load()
        self._follow()
        query = F.normalize(self._out(self.net, self.heads["plain"], x_q), dim=1)
        online = self.name in ("SAMix-I", "SAMix-C")
        with torch.no_grad():
            keys = F.normalize(self._out(self.slow_net, self.slow_heads["plain"], x_k), dim=1)
            maps = self._maps(x_q)
        loss = self._nce(query, keys).mean()
        if self.name != "MoCo":
            index, lam = self._derangement(len(x_q)), self._lam()
            mixed = self._encoder_mix(x_q, maps, index, lam, -1.0, adjust=True)
            out = F.normalize(self._out(self.net, self.heads["plain"], mixed), dim=1)
            loss = loss + (lam * self._nce(out, keys) + (1 - lam) * self._nce(out, keys[index])).mean()
        if online:
            loss = loss + self._mixer_loss(x_q, maps, keys, image % self.setup.clusters)
        rows = slice(self.position, self.position + len(keys))
        self.queue = self.queue.clone()  # the loss still needs the old one
        self.queue[rows] = keys[: len(self.queue[rows])]
        self.position = (self.position + len(keys)) % len(self.queue)
        return loss

    def _mixer_loss(self, x: Tensor, maps: Tensor, keys: Tensor, clusters: Tensor) -> Tensor:
        index, lam = self._derangement(len(x)), self._lam()
        mixed, penalty = self._mixer_mix(x, maps, index, lam)
        features = self._features(self.slow_net, mixed)
        if self.name == "SAMix-C":
            head_loss = F.cross_entropy(self.cluster_head(self.plain_features), clusters)
            frozen = copy.deepcopy(self.cluster_head).requires_grad_(False)
            own = self._class_loss(frozen(features), clusters, clusters[index], lam)
            return head_loss + own + BETA * penalty
        out = F.normalize(self.slow_heads["plain"](features), dim=1)
        logit = ((out * keys).sum(1) - (out * keys[index]).sum(1)) / TEMPERATURE
        local = -(lam * F.logsigmoid(logit) + (1 - lam) * F.logsigmoid(-logit)).mean()
        other = (lam * self._nce(out, keys) + (1 - lam) * self._nce(out, keys[index])).mean()
        return local + ETA * other + BETA * penalty

    def _encoder_mix(
        self, x: Tensor, maps: Tensor, index: Tensor, lam: float, lam_margin: float, adjust: bool
    ) -> Tensor:
        """The encoder's images: plain mixup, or the Mixer's mask without gradient and adjusted."""
        if "mixup" in self.name:
            return lam * x + (1 - lam) * x[index]
        with torch.no_grad():
            mask = self.mixer(maps, maps[index], lam, x.shape[2:])
            if adjust:
                mask = mask.clamp(1e-8, 1 - 1e-8)
                mean = mask.mean((1, 2, 3), keepdim=True)
                mask = torch.where(mean > lam + MARGIN, mask * lam / mean, mask)
                lifted = 1 - (1 - mask) * (1 - lam) / (1 - mean)
                mask = torch.where(mean < lam - MARGIN, lifted, mask)
            if min(lam, 1 - lam) <= lam_margin:
                mask = torch.full_like(mask, lam)
            return mask * x + (1 - mask) * x[index]

    def _mixer_mix(self, x: Tensor, maps: Tensor, index: Tensor, lam: float) -> tuple[Tensor, Tensor]:
        """The Mixer's own images with gradient, and its mask loss."""
        mask = self.mixer(maps, maps[index], lam, x.shape[2:])
        pixels = mask.flatten(1)
        away = (torch.abs(lam - pixels.mean(1)) - MARGIN).clamp(min=0).mean()
        penalty = away - 2 * pixels.var(1, correction=0).mean()
        return mask * x + (1 - mask) * x[index], penalty

    def _class_loss(self, out: Tensor, first: Tensor, second: Tensor, lam: float) -> Tensor:
        """pBCE + eta * mixed CE, pairs of one class left out of the former."""
        kept = first != second
        logit = (out.gather(1, first[:, None]) - out.gather(1, second[:, None])).squeeze(1)[kept]
        local = -(lam * F.logsigmoid(logit) + (1 - lam) * F.logsigmoid(-logit))
        other = lam * F.cross_entropy(out, first) + (1 - lam) * F.cross_entropy(out, second)
        return (local.mean() if len(local) else 0 * out.sum()) + ETA * other

    def _maps(self, x: Tensor) -> Tensor | None:
        """z^l of the momentum network, or of the frozen one up to its tap; None if the step uses no maps."""
        with torch.no_grad():
            if self.name in ("samix_p", "SAMix-P"):
                return self.tap.alone(self.frozen, x)
            if self.name in ("samix", "SAMix-I", "SAMix-C"):
                maps, last = self.tap.with_last(self.slow_net, x)
                self.plain_features = self.slow_net.forward_head(last, pre_logits=True)
                return maps
        return None

    def _nce(self, z: Tensor, keys: Tensor) -> Tensor:
        logits = torch.cat([(z * keys).sum(1, keepdim=True), z @ self.queue.T], 1) / TEMPERATURE
        return F.cross_entropy(
            logits, torch.zeros(len(z), dtype=torch.long, device=z.device), reduction="none"
        )

    def _follow(self) -> None:
        """The moving average, one parameter after the other."""
        with torch.no_grad():
            pairs = ((self.slow_net, self.net), (self.slow_heads, self.heads))
            for slow, fast in pairs:
                for own, other in zip(slow.parameters(), fast.parameters(), strict=True):
                    own.copy_(EMA * own + (1 - EMA) * other)

    def _features(self, net: nn.Module, x: Tensor) -> Tensor:
        return net.forward_head(self.tap.with_last(net, x)[1], pre_logits=True)  # type: ignore[operator]

    def _out(self, net: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
        return head(self._features(net, x))

    def _head(self, width: int) -> nn.Module:
        if not self.ssl:
            return nn.Linear(width, self.setup.classes)
        options = MoCoConfig().projector
        return nn.Sequential(
            nn.Linear(width, options.hidden), nn.ReLU(), nn.Linear(options.hidden, options.out)
        )

    def _derangement(self, n: int) -> Tensor:
        index = torch.randperm(n)
        while (index == torch.arange(n)).any():
            index = torch.randperm(n)
        return index.to(self.setup.device)

    @staticmethod
    def _lam() -> float:
        return float(torch.distributions.Beta(2.0, 2.0).sample())

    @staticmethod
    def _contiguous(net: nn.Module) -> nn.Module:
        return net.to(memory_format=torch.contiguous_format).train()
