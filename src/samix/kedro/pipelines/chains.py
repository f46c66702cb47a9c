"""All pipelines by name, and what is left of them under the settings of one run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline import Pipeline

from samix.config.settings import Settings
from samix.kedro.pipelines.comparison import comparison
from samix.kedro.pipelines.data_preparation import data_preparation
from samix.kedro.pipelines.declared import stage_pipeline
from samix.kedro.pipelines.reporting import reporting
from samix.stages import SL, SSL, Chain, Stage

log = logging.getLogger(__name__)


class Selection:
    """The stages of a chain that run: all, or those that the settings need and those that are named."""

    def __init__(self, settings: Settings | None = None, named: frozenset[str] = frozenset()) -> None:
        self.settings = settings
        self.named = named

    def stages(self, chain: Chain) -> list[Stage]:
        """The stages, in their order."""
        skipped = self.skipped(chain)
        return [stage for stage in chain.stages if stage.name not in skipped]

    def skipped(self, chain: Chain) -> dict[str, str]:
        """The other stages, each with the reason."""
        return {} if self.settings is None else chain.skipped(self.settings, self.named)


class SelectivePipeline(Pipeline):
    """A pipeline with all its stages that can be made again without those which a run does not need."""

    def __init__(self, build: Callable[[Selection], Pipeline], chain: Chain | None = None) -> None:
        """chain: whose skipped stages the log names when the pipeline is made again."""
        super().__init__(build(Selection()).nodes)
        self.build = build
        self.chain = chain

    def for_run(self, parameters: Mapping[str, Any], named: frozenset[str]) -> Pipeline:
        """The pipeline for these parameters, `named` stages included. Logs what is left out, and why."""
        sections = {name: parameters[name] for name in Settings.model_fields}
        selection = Selection(Settings.model_validate(sections), named)
        for stage, reason in (selection.skipped(self.chain) if self.chain else {}).items():
            log.info("%s: skipped, %s", stage, reason)
        return self.build(selection)


def make_pipelines() -> dict[str, Pipeline]:
    """Every stage by its own name, the chains `samix_ssl` and `samix_sl`, the comparisons."""
    stages = {stage.name: _stage(stage) for chain in (SSL, SL) for stage in chain.stages}
    return {
        "samix_ssl": _chain(SSL, "reporting"),
        "samix_sl": _chain(SL, "reporting_sl"),
        **{name: data_preparation([]) + comparison(name) for name in ("samix_ablation", "mixup_benchmark")},
        "data_preparation": SelectivePipeline(lambda selection: data_preparation(selection.stages(SSL))),
        **stages,
        "reporting": SelectivePipeline(lambda selection: reporting("reporting", selection.stages(SSL))),
        "reporting_sl": SelectivePipeline(lambda selection: reporting("reporting_sl", selection.stages(SL))),
    }


def _stage(stage: Stage) -> SelectivePipeline:
    return SelectivePipeline(lambda selection: stage_pipeline(stage, selection.settings))


def _chain(chain: Chain, report: str) -> SelectivePipeline:
    def build(selection: Selection) -> Pipeline:
        stages = selection.stages(chain)
        parts = [stage_pipeline(stage, selection.settings) for stage in stages]
        return sum(parts, start=data_preparation(stages)) + reporting(report, stages)

    return SelectivePipeline(build, chain)
