"""Every name of the registry leads to a class or function, and reading the names imports nothing heavy."""

import subprocess
import sys

import pytest

from samix.config import registry
from samix.config.names import Registered

TABLES = {
    "POLICIES": registry.POLICIES,
    "METHODS": registry.METHODS,
    "SOURCES": registry.SOURCES,
    "DETECTORS": registry.DETECTORS,
    "EVALUATIONS": registry.EVALUATIONS,
}
HEAVY = ["torch", "torchvision", "timm", "numpy", "pandas", "kedro", "mlflow", "sklearn", "faiss"]

IMPORT_CONFIG = """
import pkgutil, sys
from importlib import import_module

import samix.config

for found in pkgutil.iter_modules(samix.config.__path__):
    import_module("samix.config." + found.name)

from samix.config.data import DataConfig
from samix.config.detection import DetectionConfig
from samix.config.mixing import PolicyConfig
from samix.config.registry import POLICIES, SOURCES

[PolicyConfig(name=name) for name in ("none", *POLICIES)]
[DataConfig(source=name) for name in SOURCES]
print(sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(("table", "name"), [(key, name) for key, names in TABLES.items() for name in names])
def test_every_name_leads_to_a_class_or_function(table, name):
    found = Registered(TABLES[table])[name]
    assert callable(found) and found.__doc__
    assert f"{found.__module__}:{found.__qualname__}" == TABLES[table][name]


def test_no_class_has_two_names():
    for names in TABLES.values():
        assert len(set(names.values())) == len(names)


@pytest.mark.slow
def test_parameters_without_options_import_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", IMPORT_CONFIG], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'pydantic'" in done.stdout
    assert not [name for name in HEAVY if f"'{name}'" in done.stdout]


@pytest.mark.slow
def test_the_check_of_imports_can_fail():
    code = IMPORT_CONFIG + "\nPolicyConfig(name='gridmix', options={'cells': 4})"
    code += "\nprint(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "'torch'" not in done.stdout.splitlines()[0] and "'torch'" in done.stdout.splitlines()[1]
