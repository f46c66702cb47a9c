"""Two processes that stay for the whole test session: a start takes longer than most of what they do."""

import importlib
import io
import multiprocessing
import os
import socket
import traceback
from multiprocessing.connection import wait

import pytest
import torch
import torch.distributed as dist

from samix.training import run_job

SECONDS = 300


class TwoRanks:
    """Runs functions of importable modules as ranks 0 and 1; the processes start with the first call."""

    def __init__(self):
        self._processes, self._ends = [], []

    def call(self, function, *arguments):
        """What both ranks return; each call has a meeting point of its own for torch.distributed."""
        if not self._processes:
            self._start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for end in self._ends:
            end.send((function, arguments, port))
        results, waiting = {}, list(self._ends)
        while waiting:
            ready = wait(waiting, SECONDS)
            for end in ready:
                waiting.remove(end)
                results[end], error = end.recv()
                if error:
                    self._fail(error)
            if not ready:
                self._fail(f"a rank did not answer within {SECONDS} s")
        return [torch.load(io.BytesIO(results[end])) for end in self._ends]

    def in_group(self, function, *arguments):
        """The same inside a gloo process group."""
        return self.call(_in_group, function, *arguments)

    def run_job(self, worker, job):
        """`run_job` for a job of two devices, without torch elastic, which would start two processes."""
        launch = importlib.import_module("samix.training.launch")  # the package has a function of this name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch, "elastic_launch", lambda _, enter: lambda *a: self.call(enter, *a))
            return run_job(worker, job)

    def stop(self):
        """End both processes, whatever they do."""
        for process in self._processes:
            process.kill()
            process.join()
        self._processes, self._ends = [], []

    def _start(self):
        spawn = multiprocessing.get_context("spawn")
        for rank in range(2):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(rank, there), daemon=True)
            process.start()
            self._processes.append(process)
            self._ends.append(here)

    def _fail(self, error):
        self.stop()  # the other rank may wait for ever
        raise AssertionError(error)


def _serve(rank, end):
    torch.set_num_threads(1)
    size = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    os.environ.update(size, RANK=str(rank), LOCAL_RANK=str(rank))
    while True:
        function, arguments, port = end.recv()
        os.environ["MASTER_PORT"] = str(port)
        result, error = io.BytesIO(), None
        try:
            torch.save(function(*arguments), result)
        except Exception:
            error = f"rank {rank}:\n{traceback.format_exc()}"
        end.send((result.getvalue(), error))


def _in_group(function, *arguments):
    dist.init_process_group("gloo")
    try:
        return function(*arguments)
    finally:
        dist.destroy_process_group()
