"""`samix run` and `python -m samix` are `kedro run`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def samix(*arguments, cwd=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "samix", *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_help_is_that_of_kedro():
    done = samix("run", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: samix run [OPTIONS]")
    assert "--pipeline " in done.stdout and "--params " in done.stdout


@pytest.mark.slow
def test_options_a_file_of_options_and_the_wrong_folder(tmp_path):
    """All of them stop before anything runs; each names what is wrong."""
    done = samix("--pipeline=samix_sll")
    assert done.returncode == 1
    assert "There is no pipeline 'samix_sll'. Did you mean 'samix_sl' or 'samix_ssl'?" in done.stderr
    (tmp_path / "options.yml").write_text("run:\n  pipelines: samix_slll\n")
    done = samix("run", f"--config={tmp_path}/options.yml")
    assert done.returncode == 1 and "There is no pipeline 'samix_slll'" in done.stderr, done.stderr
    done = samix("run", cwd=tmp_path)
    assert done.returncode == 1
    assert f"There are no settings in {tmp_path}/conf: change to the project's folder" in done.stderr
