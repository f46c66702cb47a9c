"""`python -m MODULE` in processes that have the large libraries already: importing them takes seconds."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.processes import environment


class Forks:
    """A process that imports the libraries, and forks for each command; it starts with the first one."""

    def __init__(self):
        self._server = None

    def run_module(self, module, arguments, folder, variables):
        """`python -m MODULE ARGUMENTS` in a folder, as a CompletedProcess; its stdout has both streams."""
        if self._server is None:
            command = [sys.executable, "-m", "helpers.fork_server"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._server = subprocess.Popen(command, env=environment(), **pipes)
        with tempfile.TemporaryDirectory() as place:
            output = Path(place) / "output"
            output.touch()
            request = [module, list(arguments), str(folder), dict(variables), str(output)]
            print(json.dumps(request), file=self._server.stdin, flush=True)
            status = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(arguments, status, output.read_text(), "")

    def stop(self):
        """End the process; its time then counts as a child's."""
        if self._server is not None:
            self._server.communicate()
