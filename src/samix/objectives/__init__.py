"""What outputs are held to: class, cluster or instance, behind one interface.

An objective offers `point_loss` and `pair_logit`; everything else is composed from them.
"""

from samix.objectives.base import Objective
from samix.objectives.classes import ClassObjective
from samix.objectives.decoupled import DecoupledCE, MixedBCE, MixedCE, MixedCriterion
from samix.objectives.instances import InstanceObjective, InstanceTargets
from samix.objectives.mixed import EtaBalanced, eta_balanced, local_loss, mixed_loss
from samix.objectives.sigmoid import sigmoid_negweight

__all__ = [
    "ClassObjective",
    "DecoupledCE",
    "EtaBalanced",
    "InstanceObjective",
    "InstanceTargets",
    "MixedBCE",
    "MixedCE",
    "MixedCriterion",
    "Objective",
    "eta_balanced",
    "local_loss",
    "mixed_loss",
    "sigmoid_negweight",
]
