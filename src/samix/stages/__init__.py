"""The stages, each declared once: the Kedro pipelines and the comparisons are both made from this.

A `Chain` leads from the images to figures; its stages run in their order. A `Stage` has *tasks* and *steps*.
A task is one training: its function makes a `Job` from the settings, the images, the results of earlier
stages and the seed. The job's fingerprint names its result, so no training is repeated. A step makes
figures, pictures and tables from results. Each result that a task can need comes with a function that tells
why some settings do not need it, such as "policy cutmix needs no Mixer"; a stage whose results nothing needs
is skipped.

`samix.kedro.pipelines` turns a stage into nodes whose namespace is its name. `samix.comparison` trains the
same tasks for every variant and seed. To add a stage, write its file here, give it a section in `Settings`
and in conf/base/parameters_<stage>.yml, and put it into a chain below.

Nothing here imports torch or pandas before a job is made or a step runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from samix.stages.detection_transfer import DETECTION_TRANSFER
from samix.stages.linear_evaluation import LINEAR_EVALUATION
from samix.stages.mixer_pretraining import MIXER_PRETRAINING
from samix.stages.mixer_pretraining_sl import MIXER_PRETRAINING_SL
from samix.stages.pseudo_labels import PSEUDO_LABELS
from samix.stages.sl_training import SL_TRAINING
from samix.stages.ssl_training import SSL_TRAINING
from samix.stages.stage import Chain, Stage, Step, Task

if TYPE_CHECKING:
    from samix.config.settings import Host

SSL = Chain(
    (PSEUDO_LABELS, MIXER_PRETRAINING, SSL_TRAINING, LINEAR_EVALUATION, DETECTION_TRANSFER),
    trained="ssl_training",
    mixer="mixer_pretraining",
)
SL = Chain((MIXER_PRETRAINING_SL, SL_TRAINING), trained="sl_training", mixer="mixer_pretraining_sl")
CHAINS: dict[Host, Chain] = {"ssl": SSL, "sl": SL}

__all__ = ["CHAINS", "SL", "SSL", "Chain", "Stage", "Step", "Task"]
