"""Provenance of a result: command, parameters, commit and place of the artifacts."""

import subprocess

from samix.kedro.config_loader import ProjectConfigLoader, beside
from samix.kedro.provenance import command, commit, flatten

RUN_PARAMS = {
    "pipeline_names": None,
    "env": None,
    "node_names": [],
    "tags": (),
    "from_nodes": None,
    "to_nodes": None,
    "from_inputs": None,
    "to_outputs": None,
    "namespaces": None,
    "runtime_params": {},
    "only_missing_outputs": False,
}


def test_the_command_is_the_one_that_was_typed():
    assert command(RUN_PARAMS) == "kedro run"
    assert command(
        RUN_PARAMS
        | {
            "pipeline_names": ["samix_ssl"],
            "env": "cifar100",
            "from_nodes": ["a.b", "c"],
            "runtime_params": {"ssl_training": {"epochs": 3, "policy": {"name": "a b"}}, "seed": 1},
            "only_missing_outputs": True,
        }
    ) == (
        "kedro run --pipelines=samix_ssl --env=cifar100 --from-nodes=a.b,c "
        "'--params=ssl_training.epochs=3,ssl_training.policy.name=a b,seed=1' --only-missing-outputs"
    )


def test_flatten_keeps_empty_mappings():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    return subprocess.check_output(["git", *identity, *arguments], cwd=folder, text=True).strip()


def test_the_commit_is_dirty_after_a_change(tmp_path):
    assert commit(tmp_path) == {}
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "x")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "output").write_text("untracked files are what runs leave")
    assert commit(tmp_path) == {"commit": head, "dirty": "false"}
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == {"commit": head, "dirty": "true"}


def test_artifacts_lie_beside_a_file_and_with_a_server_where_it_says(tmp_path):
    assert beside(f"sqlite:///{tmp_path}/runs.db", "mlartifacts") == str(tmp_path / "mlartifacts")
    assert beside("https://mlflow.example.invalid", "mlartifacts") is None


def test_each_project_has_its_own_root_in_one_process(tmp_path):
    loaders = {}
    for name in ("one", "two"):
        conf = tmp_path / name / "conf/base"
        conf.mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text("[tool.kedro]\n")
        (conf / "parameters.yml").write_text("folder: ${project:data}\n")
        loaders[name] = ProjectConfigLoader(str(conf.parent), base_env="base", default_run_env="base")
    found = {name: loader["parameters"]["folder"] for name, loader in loaders.items()}
    assert found == {name: str(tmp_path / name / "data") for name in loaders}
