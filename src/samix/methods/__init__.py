"""What is trained, and against which targets.

A *method* (`Method`) says what it encodes, what its targets are and which objective compares them. MoCo is
one; a method whose teacher is a moving average is a `MomentumMethod`. The *host* (`SelfSupervised`) does the
rest for all of them: plain loss, mixed loss by any policy, the Mixer's loss, labels that follow the encoder.

One step, in this order: `draw` (all random numbers); `before_step` (moving average); the trained encoder
encodes the anchor views, the teacher the views of all targets and maps; plain loss; mixed loss of the
policy's images (`MixedBranch`); loss of the Mixer by the critic (`MixerTraining`); backward pass and
optimiser; `after_step` (queue, labels).

`Supervised` is a host of its own: it has one view, labels for targets and a plain loss with a weight or a
mix of its own, and its momentum network moves after the step. It shares `MixedBranch` and `MixerTraining`.
"""

from samix.config import registry
from samix.config.names import Registered
from samix.methods.host import SelfSupervised
from samix.methods.method import Method, MomentumMethod
from samix.methods.moco import MoCo

METHODS: Registered[type[Method]] = Registered(registry.METHODS)
"""Class of each method; its module is imported when it is looked up."""

__all__ = ["METHODS", "Method", "MoCo", "MomentumMethod", "SelfSupervised"]
