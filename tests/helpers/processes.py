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
