"""Does another version train to the same bits? python benchmarks/same_bits.py [COMMIT]

Takes four optimiser steps of each of the small trainings of benchmarks/same_bits_list.py, as `fit` does,
with samix as it is in COMMIT, in a temporary git worktree, and as it is here; each in a process of its own
with one thread. Losses and the whole state that is left (networks, momentum networks, queues, labels, Mixers,
optimisers) are compared bit for bit; those of policies with three and more parents to a relative 1e-6.

COMMIT is driven by its own benchmarks/same_bits_now.py, or by same_bits_first.py if it has none; the latter
knows the names of 92165d1. Fails if a training differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measuring import Rows, table
from same_bits_list import trainings

PROJECT = Path(__file__).parents[1]
FIRST, NOW = "same_bits_first.py", "same_bits_now.py"
State = dict[str, torch.Tensor]


def main(argv: list[str] | None = None) -> Rows:
    """Run, compare, print. Raises: SystemExit if a training differs."""
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(old), arguments.commit],
            cwd=PROJECT,
            check=True,
        )
        try:
            own = old / "benchmarks" / NOW
            driver = own if own.exists() else Path(__file__).with_name(FIRST)
            processes = [
                _start(driver, old, Path(folder) / "old.pt", arguments.only),
                _start(Path(__file__).with_name(NOW), PROJECT, Path(folder) / "new.pt", arguments.only),
            ]
            if any([process.wait() for process in processes]):
                raise SystemExit("a driver failed: see above")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(old)], cwd=PROJECT, check=True)
        before, after = (torch.load(Path(folder) / f"{name}.pt") for name in ("old", "new"))
    rows = [compared(one.name, before.get(one.name), after[one.name], one.tolerance)
            for one in trainings() if one.name in after]  # fmt: skip
    print(table(rows))
    wrong = [row["training"] for row in rows if row["result"] not in ("equal", "within 1e-6")]
    print(f"\n{len(rows)} trainings, {len(wrong)} of them differ from {arguments.commit}.")
    if wrong:
        raise SystemExit(1)
    return rows


def compared(name: str, before: State | str | None, after: State | str, tolerance: float) -> dict[str, Any]:
    """One row: how many tensors, and "equal", "within 1e-6", or what differs first and by how much."""
    row = {"training": name, "tensors": None, "allowed": tolerance or "no difference"}
    if not isinstance(before, dict) or not isinstance(after, dict):
        missing = {"before": before, "after": after}
        said = [f"{when}: {what}" for when, what in missing.items() if not isinstance(what, dict)]
        return row | {"result": "; ".join(said)}
    row["tensors"] = len(after)
    if before.keys() != after.keys():
        return row | {"result": f"only one has {sorted(before.keys() ^ after.keys())[:3]}"}
    differences = {key: _difference(before[key], after[key]) for key in before}
    key = max(differences, key=lambda name: differences[name])
    if not differences[key]:
        return row | {"result": "equal"}
    if differences[key] <= tolerance:
        return row | {"result": "within 1e-6"}
    return row | {"result": f"{key} differs by {differences[key]:.2g}"}


def _difference(before: torch.Tensor, after: torch.Tensor) -> float:
    """0 for equal bits; else the largest difference, relative to the largest number."""
    if before.dtype != after.dtype or before.shape != after.shape:
        return float("inf")
    if torch.equal(before, after):
        return 0.0
    one, other = before.double(), after.double()
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("commit", nargs="?", default="92165d1", help="the version to compare with")
    made.add_argument("--only", nargs="+", default=[], help="names of trainings")
    return made


def _start(driver: Path, project: Path, result: Path, names: list[str]) -> subprocess.Popen[bytes]:
    """A driver in a process of its own, with the code of `project` and one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = [str(project / "src"), str(driver.parent)]
    environment = os.environ | threads | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen([sys.executable, str(driver), str(result), *names], env=environment)


if __name__ == "__main__":
    main()
