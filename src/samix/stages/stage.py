"""What a stage is: trainings with what they need of earlier stages, and what is made of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from samix.config.settings import Settings

if TYPE_CHECKING:
    from accelerate import Accelerator

    from samix.core.weights import WeightsFile
    from samix.data import Images
    from samix.training import Job

Reason = Callable[[Settings], str | None]
"""Why settings do not need a result, such as "policy cutmix needs no Mixer"; None if they do."""

Upstream = Mapping[str, Any]
"""The results that a training needs, by name; one that the settings do not need is absent."""

Figures = Callable[["WeightsFile"], dict[str, float]]
Make = Callable[[Settings, "Images", Upstream, int], "tuple[Callable[[Any, Accelerator], None], Job]"]


def always(_: Settings) -> None:
    """The `Reason` of a result that every run needs."""


@dataclass(frozen=True)
class Task:
    """One training of a stage.

    name: of its node; result: of its weights file among the stage's data sets; metrics: prefix of the metrics
    that it logs while it runs; job: (settings, images, upstream, seed) -> worker and its job; needs: results,
    "<stage>.<name>" of an earlier stage or "<name>" of this one, each with its `Reason`.
    """

    name: str
    result: str
    metrics: str
    job: Make
    needs: Mapping[str, Reason] = field(default_factory=dict)

    def needed(self, settings: Settings | None) -> list[str]:
        """Names of the results that the settings need; None: of all that some settings need."""
        return [name for name, reason in self.needs.items() if settings is None or reason(settings) is None]


@dataclass(frozen=True)
class Step:
    """Something that is made without training: figures, pictures, tables.

    name: of its node; inputs: of `make`, in its order. An input is "images", "seed", "params:<section>" or
    the name of one of the stage's data sets; outputs are names of data sets of the stage.
    """

    name: str
    make: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """A part of a chain, declared once for the Kedro pipelines and for the comparisons.

    name: namespace of its nodes, folder of its files; sections: parameters that its jobs read, beside the
    seed; tasks: its trainings, the one that others build on first; figures: of the first task's result, for a
    comparison, None if a comparison does not show this stage; check: raises ConfigError, DataError or
    DependencyError if the settings do not fit the data's card; pictures, details: captions of the pictures
    that a report shows at its beginning and after all stages' pictures.
    """

    name: str
    sections: tuple[str, ...]
    tasks: tuple[Task, ...]
    steps: tuple[Step, ...] = ()
    figures: Figures | None = None
    check: Callable[[Settings, Mapping[str, Any]], None] | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)

    def full_name(self, data_set: str) -> str:
        """Name of one of the stage's data sets, or of another stage's, as the whole chain knows it."""
        return data_set if "." in data_set else f"{self.name}.{data_set}"

    def uses(self, other: Stage) -> list[Reason]:
        """For each result of another stage that this one may need, why settings do not need it."""
        needs = [need for task in self.tasks for need in task.needs.items()]
        return [reason for name, reason in needs if name.split(".")[0] == other.name]


@dataclass(frozen=True)
class Chain:
    """The stages that lead from images to the figures of one host, in their order.

    trained: name of the stage that trains with the policy; mixer: of the one that trains the Mixer of
    samix_p.
    """

    stages: tuple[Stage, ...]
    trained: str
    mixer: str

    def __getitem__(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def compared(self) -> list[Stage]:
        """The stages that a comparison can run: those with figures and those whose results they build on."""
        found: list[Stage] = []
        for stage in reversed(self.stages):
            if stage.figures is not None or any(user.uses(stage) for user in found):
                found.insert(0, stage)
        return found

    def skipped(self, settings: Settings, named: Iterable[str] = ()) -> dict[str, str]:
        """Stages whose results nothing needs under these settings -> the reason in words.

        A stage whose results no other stage can need is never skipped, nor one that is `named`.
        """
        found: dict[str, str] = {}
        for stage in reversed(self.stages):
            users = [user for user in self.stages if user.uses(stage)]
            running = [user for user in users if user.name not in found]
            reasons = [reason(settings) for user in running for reason in user.uses(stage)]
            if users and stage.name not in named and None not in reasons:
                found[stage.name] = ", ".join(dict.fromkeys(map(str, reasons))) or "no stage needs it"
        return dict(reversed(found.items()))
