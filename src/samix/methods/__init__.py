"""Training methods: the trained networks, their targets and their losses.

A *method* (`Method`) defines the encoded views, their targets and the objective that compares them, for
example MoCo. A method whose teacher is a moving average is an `EMAMethod`. The learner `SelfSupervised`
trains any method: it adds the plain loss, the mixed loss of any policy and the Mixer's loss, and updates
labels that follow the encoder.

One step, in this order: `draw` (all random numbers); `before_step` (moving average); the trained encoder
encodes the anchor views, the teacher the views of all targets and maps; plain loss; mixed loss of the
policy's images (`MixedBranch`); loss of the Mixer by the critic (`MixerTraining`); backward pass and
optimiser; `after_step` (queue, labels).

The learner `Supervised` has one view, labels as targets and a plain loss with its own weight or its own mix;
its momentum network is updated after the step. It shares `MixedBranch` and `MixerTraining`.
"""

from samix.config import registry
from samix.config.names import Registered
from samix.methods.host import SelfSupervised
from samix.methods.method import EMAMethod, Method
from samix.methods.moco import MoCo

METHODS: Registered[type[Method]] = Registered(registry.METHODS)
"""Class of each method; its module is imported when it is looked up."""

__all__ = ["METHODS", "EMAMethod", "Method", "MoCo", "SelfSupervised"]
