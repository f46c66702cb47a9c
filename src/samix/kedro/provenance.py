"""Where a result comes from: code and command."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines

_LISTS = ("tags", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")


def commit(project: Path) -> dict[str, str]:
    """Git commit of the project and whether files differ from it ("true"/"false"); {} outside git."""
    head = _git(project, "rev-parse", "HEAD")
    if not head:
        return {}
    dirty = _git(project, "status", "--porcelain", "--untracked-files=no")
    return {"commit": head, "dirty": str(bool(dirty)).lower()}


def pipeline_name(run_params: Mapping[str, Any]) -> str:
    """The names of the pipelines of a run, joined by "+"; the default goes by its own name."""
    names = run_params["pipeline_names"] or ["__default__"]
    return "+".join(_own_name(name) for name in names)


def command(run_params: Mapping[str, Any]) -> str:
    """The `kedro run` that does what Kedro's run_params say."""
    words = ["kedro", "run"]
    names = [name for name in run_params["pipeline_names"] or [] if name != "__default__"]
    if names:
        words.append(f"--pipelines={','.join(names)}")
    if run_params["env"]:
        words.append(f"--env={run_params['env']}")
    if run_params["node_names"]:
        words.append(f"--nodes={','.join(run_params['node_names'])}")
    words += [f"--{key.replace('_', '-')}={','.join(run_params[key])}" for key in _LISTS if run_params[key]]
    if run_params["runtime_params"]:
        pairs = flatten(run_params["runtime_params"]).items()
        words.append("--params=" + ",".join(f"{key}={value}" for key, value in pairs))
    if run_params["only_missing_outputs"]:
        words.append("--only-missing-outputs")
    return shlex.join(words)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping -> one level with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _own_name(name: str) -> str:
    if name != "__default__":
        return name
    default = pipelines[name]
    return next((other for other, pipeline in pipelines.items() if pipeline is default), name)


def _git(project: Path, *arguments: str) -> str:
    try:
        return subprocess.check_output(
            ["git", *arguments], cwd=project, text=True, stderr=subprocess.DEVNULL
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
