"""Seconds until Kedro starts to work, and their parts: python benchmarks/startup.py

* kedro registry list: from its start to its end
* kedro run, first node: from its start until its first node begins
* both without byte code: every module is compiled again, as if PYTHONDONTWRITEBYTECODE is set or
  the installer wrote no byte code; the other measurements have it, in a folder of their own
* first node, ...: the parts of the way there, one after the other, see benchmarks/traced_start.py
* import of ...: by `python -X importtime`, all modules of a package that are imported until then, without
  what they import from other packages

Each is measured in fresh processes, the median of --rounds (imports: one process). cpu_seconds, user and
system, are more reliable than seconds if the machine has other load. Goals, on 2 cores: 6 s to the
first node, 3 s for `kedro registry list`. Everything happens in a temporary copy of the project with a store
of its own, made by a first run that is not counted: no file remains in the project.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from measuring import Rows, finish, parser

PROJECT = Path(__file__).parents[1]
TRACED = Path(__file__).with_name("traced_start.py")
# the line that says so names the stage and the node
FIRST_NODE = re.compile(r"\bdata_preparation: \w+")
LONGEST = 120.0
"""Seconds after which a run that has begun no node is ended."""
LIST, RUN = ("registry", "list"), ("run",)
NOTES = (
    "first node, ...: parts of the way there, one after the other. import of ...: a package's own modules, "
    "in one process; Python's profiler of imports adds some time of its own."
)


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        project = _copy(Path(folder))
        usual, bare = _environment(project), _environment(project, bytecode=False)
        taken: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
        _run(RUN, project, usual, FIRST_NODE)  # writes byte code, makes the store, fills the file cache
        for _ in range(arguments.rounds):
            taken["kedro registry list"].append(_run(LIST, project, usual))
            taken["kedro run, first node"].append(_run(RUN, project, usual, FIRST_NODE))
            taken["kedro registry list, no byte code"].append(_run(LIST, project, bare))
            taken["kedro run, first node, no byte code"].append(_run(RUN, project, bare, FIRST_NODE))
            for part, seconds in _parts(project, usual).items():
                taken[f"first node, {part}"].append((seconds, None))
        rows: Rows = [_row(name, found) for name, found in taken.items()]
        rows += _imports(project, usual, arguments.top)
    finish(rows, arguments, NOTES)
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.set_defaults(rounds=3)
    made.add_argument("--top", type=int, default=12, help="imports to name, largest first")
    return made


def _row(name: str, taken: list[tuple[float, float | None]]) -> dict[str, Any]:
    cpu = [used for _, used in taken if used is not None]
    return {
        "name": name,
        "seconds": statistics.median(seconds for seconds, _ in taken),
        "cpu_seconds": statistics.median(cpu) if cpu else None,
    }


def _copy(folder: Path) -> Path:
    """Settings and sources of the project in a folder of their own, which a run may change."""
    project = folder / "project"
    shutil.copytree(PROJECT / "conf", project / "conf")
    shutil.copytree(PROJECT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(PROJECT / name, project)
    return project


def _environment(project: Path, *, bytecode: bool = True) -> dict[str, str]:
    """This process's variables, without what sends runs to another store or changes what is measured."""
    own = {
        "PYTHONPATH": str(project / "src"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPYCACHEPREFIX": str(project.parent / ("bytecode" if bytecode else "nothing")),
        "COLUMNS": "200",
    }
    left_out = {"MLFLOW_TRACKING_URI", "KEDRO_ENV", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | own | ({} if bytecode else {"PYTHONDONTWRITEBYTECODE": "1"})


def _run(
    words: tuple[str, ...], project: Path, environment: dict[str, str], until: re.Pattern[str] | None = None
) -> tuple[float, float]:
    """Seconds and CPU seconds of a kedro command, to its end or until it prints a line like `until`."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    limit = threading.Timer(LONGEST, process.kill)
    limit.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if until is not None and until.search(line):
                process.kill()
                break
        seconds = time.perf_counter() - began
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        limit.cancel()
        if process.returncode is None:
            process.kill()
            process.wait()
    reached = process.returncode == 0 if until is None else bool(lines and until.search(lines[-1]))
    if not reached:
        raise RuntimeError(f"kedro {' '.join(words)} did not get there:\n" + "".join(lines[-20:]))
    return seconds, used.ru_utime + used.ru_stime


def _parts(project: Path, environment: dict[str, str]) -> dict[str, float]:
    """Part of the way to the first node -> seconds."""
    done = _traced(project, environment)
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return parts


def _traced(project: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, str(TRACED)]
    return subprocess.run(
        command, cwd=project, env=environment, check=True, capture_output=True, text=True, timeout=LONGEST
    )


def _imports(project: Path, environment: dict[str, str], top: int) -> Rows:
    """Seconds that the modules of each package take until the first node, largest first."""
    done = _traced(project, environment, "-X", "importtime")
    seconds: dict[str, float] = defaultdict(float)
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            package = rest.rpartition("|")[2].strip().split(".")[0]
            seconds[package] += int(own) / 1e6
    largest = sorted(seconds.items(), key=lambda item: -item[1])[:top]
    return [{"name": f"import of {name}", "seconds": found, "cpu_seconds": None} for name, found in largest]


if __name__ == "__main__":
    main()
