"""A policy, a method, a data source, a detector, an evaluation protocol: each is added with three files.

Then it is used by its name.

The files are in tests/additions: toy.py goes into the package, check.py is its test; the third is the
registry, which gets one line.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from samix.core.files import read_json
from samix.core.weights import WeightsFile

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
REGISTRY = "src/samix/config/registry.py"


class Addition(NamedTuple):
    """Table and place of the line in the registry, and where the test goes."""

    table: str
    place: str
    test: str

    @property
    def module(self):
        return "src/" + self.place.partition(":")[0].replace(".", "/") + ".py"


PROTOCOL = "samix.evaluation.toy:toy_protocol"
ADDITIONS = {
    "policy": Addition("POLICIES", "samix.mixup.policies.toy:Toy", "tests/mixup/test_toy_policy.py"),
    "method": Addition("METHODS", "samix.methods.toy:Toy", "tests/methods/test_toy_method.py"),
    "source": Addition("SOURCES", "samix.data.sources.toy:Toy", "tests/data/test_toy_source.py"),
    "detector": Addition(
        "DETECTORS", "samix.detection.toy:build_toy", "tests/detection/test_toy_detector.py"
    ),
    "evaluation": Addition("EVALUATIONS", PROTOCOL, "tests/evaluation/test_toy_protocol.py"),
}
OF_ALL_NAMES = [
    "tests/commands/test_table.py",
    "tests/config",
    "tests/data/test_data_config.py",
    "tests/mixup/test_policy_table.py",
    "tests/test_alphas.py",
]
SMALL = {
    "training.threads": 1,
    "model.moco.batch_size": 32,
    "model.moco.queue": 64,
    "pseudo_labels.batch_size": 32,
    "linear_evaluation.epochs": 1,
    "linear_evaluation.batch_size": 32,
    "detection_transfer.epochs": 1,
    "detection_transfer.scenes.train": 8,
    "detection_transfer.scenes.test": 4,
    "mixer_pretraining_sl.epochs": 1,
    "sl_training.epochs": 1,
}


class Project:
    """A copy of the project that may be edited."""

    def __init__(self, path, run_module):
        self.path, self.run_module = path, run_module
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("src", "conf", "tests", "docs"):
            shutil.copytree(ROOT / name, path / name, ignore=ignored)
        for name in ("pyproject.toml", ".telemetry", "README.md", "Makefile"):
            shutil.copy(ROOT / name, path / name)

    def add(self, kind):
        """Copy two files and add a line; returns the names of the files that are new or other than before."""
        addition, before = ADDITIONS[kind], self.digests()
        for name, place in (("toy.py", addition.module), ("check.py", addition.test)):
            shutil.copy(ROOT / "tests/additions" / kind / name, self.path / place)
        registry = self.path / REGISTRY
        begin, line = rf"^{addition.table}: .*{{$", f'    "toy": "{addition.place}",'
        text, count = re.subn(begin, lambda found: f"{found[0]}\n{line}", registry.read_text(), flags=re.M)
        assert count == 1
        registry.write_text(text)
        return {name for name, digest in self.digests().items() if before.get(name) != digest}

    def digests(self):
        files = [file for file in self.path.rglob("*") if file.is_file()]
        return {
            file.relative_to(self.path).as_posix(): hashlib.sha256(file.read_bytes()).digest()
            for file in files
        }

    def python(self, module, *arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.path / "src")}
        environment.pop("MLFLOW_TRACKING_URI", None)
        done = self.run_module(module, arguments, self.path, environment)
        assert done.returncode == 0, done.stdout

    def run(self, *arguments, **params):
        given = ",".join(f"{key}={value}" for key, value in {**SMALL, **params}.items())
        self.python("kedro", "run", *arguments, f"--params={given}")

    def about(self, stage):
        """Metadata of the one result of a stage."""
        (file,) = (self.path / "data/06_models" / stage).rglob("*.safetensors")
        return WeightsFile(file).metadata


@pytest.fixture(scope="module")
def changes():
    """Kind -> the files that adding one has changed."""
    return {}


@pytest.fixture(scope="module")
def project(tmp_path_factory, changes, forks):
    """The project with a toy of each kind."""
    project = Project(tmp_path_factory.mktemp("additions") / "samix", forks.run_module)
    changes |= {kind: project.add(kind) for kind in ADDITIONS}
    return project


@pytest.mark.parametrize("kind", ADDITIONS)
def test_three_files_are_touched(project, changes, kind):
    assert changes[kind] == {REGISTRY, ADDITIONS[kind].module, ADDITIONS[kind].test}


def test_their_tests_and_those_of_all_names_pass(project):
    """The tables are written first. Of the tests that are parametrised by names those of the toys run."""
    own = [addition.test for addition in ADDITIONS.values()]
    project.python("samix", "table", "policies", "--into", "docs/policies.md")
    project.python("pytest", "-q", *own, *OF_ALL_NAMES, "-k", "toy or not [")


def test_a_method_a_source_a_detector_and_a_protocol_are_used_by_name(project):
    nodes = [
        "data_preparation.prepare_images",
        "data_preparation.check_settings",
        "data_preparation.describe_images",
        "ssl_training.train_encoder",
        "linear_evaluation.probe_untrained",
        "detection_transfer.provide_scenes",
        "detection_transfer.train_scratch",
    ]
    params = {
        "data_preparation.source": "toy",
        "model.method.name": "toy",
        "model.method.options.batch_size": 32,
        "model.method.options.temperature": 0.3,
        "ssl_training.policy.name": "mixup",
        "ssl_training.epochs": 1,
        "linear_evaluation.protocols": "[toy]",
        "detection_transfer.detector.name": "toy",
    }
    project.run("--pipeline=samix_ssl", f"--nodes={','.join(nodes)}", **params)
    metrics = read_json(project.path / "data/08_reporting/data_preparation/metrics.json")
    assert metrics["data.train"] + metrics["data.test"] == 120 and metrics["data.classes"] == 3
    last = project.about("ssl_training")["history"][-1]
    assert {"loss_ssl", "loss_mixed"} <= last.keys() and "queue_top1" not in last
    figures = project.about("linear_evaluation")["figures"]
    assert figures.keys() == {"linear", "toy"} and figures["toy"]["top1"] == 100
    assert "loss_half" in project.about("detection_transfer")["history"][-1]


def test_a_policy_is_used_by_name(project):
    own = {"sl_training.policy.name": "toy", "sl_training.policy.options.times": 2}
    project.run("--pipeline=samix_sl", **{"data_preparation.limit": 100}, **own)
    assert "val_top1_mixed_q" in project.about("sl_training")["figures"]
