"""The command `samix`: its imports, its errors, and how options reach `kedro run`."""

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from samix import commands
from samix.commands import main
from samix.commands import run as run_command
from samix.core.errors import DependencyError
from samix.core.packages import require

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HELP = """
import json, sys
from samix.commands import main
main(["--help"])
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
BLOCKED = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # None: as if it were not installed
from samix.commands import main
main(sys.argv[2:])
"""


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT / "src", capture_output=True, text=True
    )


def test_help_lists_every_subcommand_and_imports_nothing_heavy():
    done = python(HELP)
    assert done.returncode == 0, done.stderr
    *lines, loaded = done.stdout.splitlines()
    files = {path.stem for path in (ROOT / "src/samix/commands").glob("*.py")} - {"__init__"}
    assert {line.split()[0] for line in lines if line.startswith("  ")} == files == set(commands.COMMANDS)
    heavy = {"torch", "torchvision", "timm", "numpy", "kedro", "mlflow", "pandas", "matplotlib", "click"}
    assert not heavy & set(json.loads(loaded))


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_subcommand_has_a_line_of_help(name):
    module = import_module(f"samix.commands.{name}")
    assert len(module.__doc__.splitlines()[0]) > 20 and callable(module.main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["galery"], "samix: there is no subcommand 'galery'. Did you mean 'gallery'? Known: "),
        (["table", "polices"], "there is no table 'polices'. Did you mean 'policies'? Known: "),
        (["table"], "required: {policies,methods,backbones}"),
    ],
)
def test_unknown_names(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("blocked", "arguments", "message"),
    [
        ("kedro,mlflow", ["run"], "samix run: samix run needs kedro and mlflow, which are not installed: "),
        (
            "kedro",
            ["--pipeline=samix_sl"],
            "samix run needs kedro, which is not installed: run `pip install kedro`",
        ),
        ("PIL", ["gallery", "a", "b.png"], "samix gallery needs pillow, which is not installed: "),
        ("torch", ["table", "policies"], "samix table policies needs torch, which is not installed: "),
        ("timm,torch", ["table", "backbones"], "samix table backbones needs torch and timm, which are "),
    ],
)
def test_missing_packages_are_named(blocked, arguments, message):
    done = python(BLOCKED, blocked, *arguments)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr


def test_methods_need_no_torch():
    done = python(BLOCKED, "torch,kedro,mlflow", "table", "methods")
    assert done.returncode == 0, done.stderr
    assert "| moco " in done.stdout and "`queue=16384`" in done.stdout


def test_all_that_is_installed_is_enough():
    require("this test", {"json": "json", "samix": "samix"})
    with pytest.raises(DependencyError, match="needs b and c, which are"):
        require("this test", {"json": "a", "no_such_module": "b", "nor_this": "c"})


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (["run", "--pipeline=samix_sl"], ["--pipeline=samix_sl"]),
        (["--pipeline=samix_sl", "--env=cifar10"], ["--pipeline=samix_sl", "--env=cifar10"]),
        ([], []),
        (["run", "--help"], ["--help"]),
    ],
)
def test_what_the_subcommand_run_gets(given, arguments, monkeypatch):
    calls = []
    monkeypatch.setattr(run_command, "main", calls.append)
    main(given)
    assert calls == [arguments]


def test_the_arguments_are_those_of_the_process_by_default(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["samix", "table", "methods"])
    main()
    assert capsys.readouterr().out.startswith("| method ")


def test_the_entry_point_is_this_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["samix"].partition(":")
    assert getattr(import_module(module), name) is main
