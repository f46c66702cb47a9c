"""The policies by name."""

from __future__ import annotations

from samix.config import registry
from samix.config.names import Registered
from samix.mixup.policy import Policy

POLICIES: Registered[type[Policy]] = Registered(registry.POLICIES)
"""Class of each policy; its module is imported when it is looked up."""
