"""The bare network passes that a step needs: same networks, batch, precision and optimiser, nothing else."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from hosts import SUPERVISED, Setup
from torch import Tensor, nn

from samix.config.networks import ProjectorConfig
from samix.config.training import OptimizerConfig
from samix.core.learner import OptimizedModules
from samix.nn import Classifier, Encoder, frozen_copy
from samix.training.optimizers import make_optimizer

# passes of a step: network trained on N images, so many times; momentum network without gradient on how many
# times N; momentum network with gradient to the pixels; frozen encoder up to its tap
NEEDED: dict[str, tuple[int, int, int, int]] = {
    "vanilla": (1, 0, 0, 0),
    "mixup": (1, 0, 0, 0),
    "samix": (2, 1, 1, 0),
    "samix_p": (1, 0, 0, 1),
    "MoCo": (1, 1, 0, 0),
    "MoCo+mixup": (2, 1, 0, 0),
    "SAMix-I": (2, 2, 1, 0),
    "SAMix-C": (2, 2, 1, 0),
    "SAMix-P": (2, 1, 0, 1),
}


class BarePasses:
    """Forwards and backwards of the networks on given images, and the optimiser's step."""

    def __init__(self, name: str, setup: Setup, images: Tensor, accelerator: Accelerator) -> None:
        torch.manual_seed(0)
        self.trained, self.looked, self.judged, self.frozen = NEEDED[name]
        self.network = self._network(name, setup).to(setup.device).train()
        self.slow = frozen_copy(self.network).train() if self.looked else None
        self.encoder = setup.network().to(setup.device).eval() if self.frozen else None
        self.images = images
        self.accelerator = accelerator
        optimizer = OptimizerConfig(lr=0.03)
        self.optimizer = accelerator.prepare(make_optimizer(OptimizedModules([self.network], optimizer)))

    def __call__(self, steps: int) -> None:
        """Take steps."""
        for _ in range(steps):
            with self.accelerator.autocast():
                loss = self._forward()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def _forward(self) -> Tensor:
        with torch.no_grad():
            if self.encoder is not None:
                self.encoder.tap_map(self.images)
            if self.slow is not None:
                self._outputs(self.slow, self.images.repeat(self.looked, 1, 1, 1))
        outputs = [self._outputs(self.network, self.images) for _ in range(self.trained)]
        if self.judged and self.slow is not None:
            pixels = self.images.detach().requires_grad_()
            outputs.append(self._outputs(self.slow, pixels))
        return torch.stack([out.float().square().mean() for out in outputs]).sum()

    def _outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        if isinstance(network, Encoder):
            return network(images).projection
        return network.logits(network(images), "plain")  # type: ignore[operator]

    def _network(self, name: str, setup: Setup) -> nn.Module:
        if name in SUPERVISED:
            return Classifier(setup.network(), setup.classes, ["plain"], shared=True)
        return Encoder(setup.network(), ProjectorConfig())
