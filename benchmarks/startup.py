"""Seconds until Kedro gets to work: python benchmarks/startup.py

* registry: `kedro registry list`, from its start to its end
* first_node: `kedro run` in a copy of the project's settings, until its first node begins
* import of the modules that these need, in a process of their own, by `python -X importtime`

Each is measured in fresh processes, the median of --rounds. Goals, on 2 cores: 6 s to the first node, 3 s for
`kedro registry list`. Runs of kedro happen in a temporary copy of the project: nothing is left here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring import Rows, finish, parser

PROJECT = Path(__file__).parents[1]
# the line that says so names the stage and the node
FIRST_NODE = re.compile(r"\bdata_preparation: \w+")
LONGEST = 90.0
"""Seconds after which a run that has begun no node is ended."""


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        project = _copy(Path(folder))
        work = {"kedro registry list": _registry, "kedro run, first node": _first_node}
        taken: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(arguments.rounds + 1):
            for name, do in work.items():
                taken[name].append(do(project))
        # the first of each writes byte code and fills the file cache
        rows: Rows = [
            {"name": name, "seconds": statistics.median(found[1:])} for name, found in taken.items()
        ]
        rows += _imports(project, arguments.top)
    finish(rows, arguments, "import ...: cumulative, as part of importing what `kedro run` imports")
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.set_defaults(rounds=3)
    made.add_argument("--top", type=int, default=12, help="imports to name, largest first")
    return made


def _copy(folder: Path) -> Path:
    """Settings and sources of the project where a run leaves nothing behind."""
    project = folder / "project"
    shutil.copytree(PROJECT / "conf", project / "conf")
    shutil.copytree(PROJECT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(PROJECT / name, project)
    return project


def _environment(project: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


def _registry(project: Path) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "kedro", "registry", "list"]
    subprocess.run(command, cwd=project, env=_environment(project), check=True, capture_output=True)
    return time.perf_counter() - began


def _first_node(project: Path) -> float:
    """The run is ended once its first node has begun."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run"],
        cwd=project,
        env=_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    limit = threading.Timer(LONGEST, process.kill)
    limit.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if FIRST_NODE.search(line):
                return time.perf_counter() - began
    finally:
        limit.cancel()
        process.kill()
        process.wait()
    raise RuntimeError(f"kedro run began no node in {LONGEST:.0f} s:\n" + "".join(lines[-20:]))


def _imports(project: Path, top: int) -> Rows:
    """Cumulative seconds of the packages that the pipelines' registry and the hooks import, largest first."""
    code = (
        "import kedro.framework.cli.cli, samix.settings, samix.pipeline_registry as r; r.register_pipelines()"
    )
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=project,
        env=_environment(project),
        check=True,
        capture_output=True,
        text=True,
    )
    seconds: dict[str, float] = {}
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) != 3 or not parts[1].strip().isdigit():
            continue
        name = parts[2].strip()
        package = ".".join(name.split(".")[: 2 if name.startswith(("samix.", "kedro.")) else 1])
        if package == name:  # a package's own line has all that it brings along
            seconds[name] = max(seconds.get(name, 0.0), int(parts[1]) / 1e6)
    largest = sorted(seconds.items(), key=lambda item: -item[1])[:top]
    return [{"name": f"import {name}", "seconds": found} for name, found in largest]


if __name__ == "__main__":
    main()
