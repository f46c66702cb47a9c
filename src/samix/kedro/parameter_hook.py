"""Checks the parameters as early as Kedro allows: before MLflow, the catalog and any node."""

from __future__ import annotations

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines

from samix.kedro.parameters import check_parameters


class ParameterHook:
    """Kedro takes an unknown top-level parameter in silence and reports the rest at length; this does not."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Raises: ConfigError that names each parameter at fault and what it may be."""
        try:
            values = context.config_loader["parameters"]
        except MissingConfigException:
            values = {}
        check_parameters(values, pipelines.values())
