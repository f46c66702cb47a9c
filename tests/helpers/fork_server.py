"""Reads requests, one per line: module, arguments, folder, environment variables, file for the output.

The answer is a line with the exit status.
"""

import json
import os
import runpy
import signal
import sys

# nothing of samix, whose code may be that of another folder
import accelerate  # noqa: F401
import faiss  # noqa: F401
import kedro.framework.cli.cli  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import mlflow  # noqa: F401
import pandas  # noqa: F401
import sklearn.datasets  # noqa: F401
import timm  # noqa: F401
import torchmetrics  # noqa: F401
import torchvision  # noqa: F401

SECONDS = 600


def run(module, arguments, folder, variables, output):
    """Become `python -m module`."""
    signal.alarm(SECONDS)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), stream)
    sys.path[:0] = [folder, *variables.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
