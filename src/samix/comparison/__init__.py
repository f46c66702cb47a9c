"""Comparisons: the stages of `samix.stages`, trained for each variant, backbone and seed of a table.

`plan` makes the trials from a `ComparisonConfig` and checks all of them before the first one trains;
`Comparison` takes a trial through its chain. Trainings that trials have in common are done once.
"""

from samix.comparison.plan import plan
from samix.comparison.trial import Trial
from samix.comparison.trials import Comparison

__all__ = ["Comparison", "Trial", "plan"]
