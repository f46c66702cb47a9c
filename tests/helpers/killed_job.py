"""A process that trains SAMix and kills itself: work folder, step to die at."""

import os
import signal
import sys
from pathlib import Path

from helpers.tiny_jobs import samix_job
from samix.jobs.self_supervised import pretrain_mixer
from samix.training import run_job


class Killer:
    """A sink in which the process ends as it would for lack of memory: without a last word."""

    def __init__(self, step):
        self.step = step

    def __call__(self, metrics, step):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    def flush(self):
        """Nothing is kept."""


if __name__ == "__main__":
    job = samix_job(Path(sys.argv[1]), sink=Killer(int(sys.argv[2])))
    run_job(pretrain_mixer, job)
