"""Kedro's settings of the project. Imports no torch, MLflow or pandas: every command starts with it."""

# ruff: noqa: E402
from samix.kedro.quiet import quiet

quiet()  # before anything imports MLflow

from samix.kedro.config_loader import ProjectConfigLoader
from samix.kedro.deferred_mlflow import DeferredMlflowHook, defer_commands
from samix.kedro.parameter_hook import ParameterHook
from samix.kedro.session import Session
from samix.kedro.timing_hook import TimingHook

defer_commands()  # before Kedro looks for them

SESSION_CLASS = Session
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # an environment is a small difference to base, key by key
    "merge_strategy": {"parameters": "soft", "mlflow": "soft"},
}
# pluggy calls the last hook first: what may refuse a run comes before MLflow opens one
HOOKS = (DeferredMlflowHook(), TimingHook(), ParameterHook())
# ours does its work
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
