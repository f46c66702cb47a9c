"""Imports at the start of a command; the imports that are deferred change no behaviour."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI
from kedro_mlflow.framework.cli import cli as mlflow_commands

from helpers.environments import MODELS
from samix.kedro import deferred_mlflow
from samix.kedro.deferred_mlflow import DeferredMlflowHook
from samix.kedro.mlflow_hook import MlflowHook, without_importing
from samix.kedro.parameters import declared_types
from samix.pipeline_registry import register_pipelines

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "torchvision", "timm", "mlflow", "pandas", "matplotlib", "plotly", "faiss", "sklearn"]

LIST = """
import json, sys
from kedro.framework.cli.cli import main
sys.argv = ["kedro", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


CHECK = """
import sys

from samix import settings
from samix.kedro.config_loader import ProjectConfigLoader
from samix.kedro.parameters import check_parameters
from samix.pipeline_registry import register_pipelines

given = {"sl_training": {"policy": {"name": sys.argv[1]}}, "ssl_training": {"policy": {"name": "none"}}}
loader = ProjectConfigLoader("conf", runtime_params=given, **settings.CONFIG_LOADER_ARGS)
check_parameters(loader["parameters"], register_pipelines().values())
print(sorted({name.split(".")[0] for name in sys.modules}))
"""


def hooks_of(kind):
    """Hook name -> the arguments it asks Kedro for."""
    found = {name: method for name, method in inspect.getmembers(kind, inspect.isfunction)}
    return {
        name: list(inspect.signature(method).parameters)
        for name, method in found.items()
        if hasattr(method, "kedro_impl")
    }


@pytest.mark.slow
def test_the_list_of_pipelines_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", LIST, "registry", "list"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "- samix_ssl\n" in done.stdout
    loaded = done.stdout.splitlines()[-1]
    assert '"kedro_viz"' in loaded  # the plugins' commands are there
    assert not [name for name in HEAVY if f'"{name}"' in loaded]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["cutmix", "samix_p"])
def test_the_check_of_parameters_imports_nothing_heavy(policy):
    done = subprocess.run([sys.executable, "-c", CHECK, policy], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'kedro'" in done.stdout
    assert not [name for name in HEAVY if f"'{name}'" in done.stdout]


def test_the_nodes_keep_their_typed_parameters():
    types = declared_types(register_pipelines().values())
    assert {key: types[key] for key in MODELS} == MODELS


def test_the_deferred_hook_takes_every_call_of_the_real_one():
    assert hooks_of(DeferredMlflowHook) == hooks_of(MlflowHook)


def test_every_call_is_passed_on(monkeypatch):
    calls = []

    class Real:
        def __getattr__(self, name):
            return lambda *arguments: calls.append((name, arguments))

    monkeypatch.setattr("samix.kedro.mlflow_hook.MlflowHook", Real)
    hook = DeferredMlflowHook()
    expected = [(name, tuple(arguments[1:])) for name, arguments in hooks_of(MlflowHook).items()]
    for name, arguments in expected:
        getattr(hook, name)(**{argument: argument for argument in arguments})
    assert calls == expected


@pytest.mark.slow
def test_the_commands_of_the_plugin_are_found_when_they_are_asked_for(project, monkeypatch):
    monkeypatch.chdir(project.path)
    name = deferred_mlflow._COMMANDS
    monkeypatch.setitem(sys.modules, name, mlflow_commands)  # put back at the end
    del sys.modules[name]
    deferred_mlflow.defer_commands()
    stand_in = sys.modules[name]
    assert not hasattr(stand_in, "__file__") and sys.modules[name] is stand_in
    result = CliRunner().invoke(KedroCLI(project.path), ["mlflow", "--help"])
    assert result.exit_code == 0
    assert {"init", "ui", "modelify"} <= set(result.output.split())
    assert sys.modules[name] is not stand_in
    assert stand_in.commands.name == mlflow_commands.commands.name
    assert stand_in.commands.help == mlflow_commands.commands.help


def test_a_package_is_hidden_only_while_it_is_not_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with without_importing("this"), pytest.raises(ImportError):
        import this  # noqa: F401
    assert "this" not in sys.modules
    with without_importing("json"):
        import json
    assert sys.modules["json"] is json
