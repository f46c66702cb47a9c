"""samix: Scenario-Agnostic Mixup and the mixup family around it."""

__version__ = "0.1.0"
