"""Optimisers and schedules from their configuration."""

from __future__ import annotations

from typing import Any

import torch
from timm.optim import create_optimizer_v2, get_optimizer_class, param_groups_weight_decay
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch.optim import Adam, Optimizer

from samix.config.training import OptimizerConfig
from samix.core.learner import OptimizedModules


def make_optimizer(parameters: OptimizedModules) -> Optimizer:
    """timm's optimiser for the trainable parameters of modules; Adam and its variants have a fused update."""
    config = parameters.optimizer
    module = torch.nn.ModuleList(parameters.modules)
    kind = get_optimizer_class(config.kind, bind_defaults=False)
    # one kernel for the whole update, twice as fast on a CPU; SGD's fused update is not faster there
    pays = isinstance(kind, type) and issubclass(kind, Adam)
    options: dict[str, Any] = {"fused": True} if pays else {}
    if config.kind == "sgd":  # which timm makes with Nesterov's momentum if nothing is given
        options["nesterov"] = config.nesterov
    return create_optimizer_v2(
        module if config.decay_all else _groups(module, config),
        opt=config.name,
        lr=config.lr,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        filter_bias_and_bn=False,
        **options,
    )


def _groups(module: torch.nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameters with and without weight decay: none for biases, norms and exceptions of networks."""
    parts = [(name, part) for name, part in module.named_modules() if hasattr(part, "no_weight_decay")]
    excepted = [f"{name}.{own}" for name, part in parts for own in part.no_weight_decay()]
    groups: list[dict[str, Any]] = param_groups_weight_decay(
        module, weight_decay=config.weight_decay, no_weight_decay_list=excepted
    )
    return groups


def make_scheduler(optimizer: Optimizer, config: OptimizerConfig, total: int) -> Scheduler:
    """timm's schedule, stepped by iteration; timm counts it in 'epochs' of one update each."""
    kinds: dict[str, dict[str, Any]] = {
        "cosine": {"sched": "cosine", "min_lr": config.min_lr},
        "multistep": {
            "sched": "multistep",
            # timm compares a milestone with the step after the present one
            "decay_milestones": [round(m * total) + 1 for m in config.milestones],
            "decay_rate": 0.1,
        },
        "constant": {"sched": "constant"},
    }
    made: tuple[Scheduler, int] = create_scheduler_v2(
        optimizer,
        num_epochs=total,
        warmup_epochs=round(config.warmup * total),
        warmup_lr=0.0,
        step_on_epochs=False,
        updates_per_epoch=1,
        **kinds[config.schedule],
    )
    return made[0]
