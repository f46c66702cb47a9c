"""Python processes that import what the tests import."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def environment(**changes):
    """The variables of this process; `helpers` and samix are found where the tests found them."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changes}


def run_helper(name, *arguments):
    """Run the script `helpers.<name>` to its end; its output is text."""
    command = [sys.executable, "-m", f"helpers.{name}", *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)


def run_two_ranks(name, folder):
    """Files of the two processes of the script `helpers.<name>`, called with rank, meeting point and file."""
    outputs = [folder / f"rank{rank}.pt" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"helpers.{name}", str(rank), folder / "meeting", out], env=environment()
        )
        for rank, out in enumerate(outputs)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return outputs
