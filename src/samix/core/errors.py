"""The errors a user may see. Each message names the wrong file, key or value and the remedy."""


class SamixError(Exception):
    """Base of all errors that samix raises deliberately."""


class ConfigError(SamixError, ValueError):
    """A parameter that is invalid, by itself or for the given data."""


class IncompatibleError(ConfigError):
    """A policy that does not work with the training, the backbone or the loss; a comparison leaves it out."""


class DataError(SamixError, ValueError):
    """Missing, damaged or inconsistent data."""


class DependencyError(SamixError, ImportError):
    """An optional library or device that is required and missing."""


class TrainingError(SamixError, RuntimeError):
    """Training that failed, for example by a loss that is not finite."""
