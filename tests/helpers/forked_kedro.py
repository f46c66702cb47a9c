"""Kedro commands in processes with the libraries imported: an import takes longer than most runs."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "samix.settings",  # switches telemetry off, before MLflow is imported
        "accelerate",
        "faiss",
        "kedro.framework.cli.cli",
        "matplotlib.pyplot",
        "mlflow",
        "pandas",
        "sklearn.datasets",
        "timm",
        "torchmetrics",
        "torchvision",
    ]
)


def run_kedro(folder, arguments, environment, timeout=600):
    """`kedro ARGUMENTS` in a folder, as a CompletedProcess; its stdout has both streams."""
    with tempfile.TemporaryDirectory() as place:
        output = Path(place) / "output"
        process = _SERVER.Process(target=_kedro, args=(folder, arguments, environment, output))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
        return subprocess.CompletedProcess(arguments, process.exitcode, output.read_text(), "")


def _kedro(folder, arguments, environment, output):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    target = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(target, 1)
    os.dup2(target, 2)
    sys.argv = ["kedro", *arguments]
    from kedro.framework.cli.cli import main

    main()
