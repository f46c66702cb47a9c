"""The errors a user may see. Each message names the file, key or value at fault and what to do."""


class SamixError(Exception):
    """Base of every error that samix raises on purpose."""


class ConfigError(SamixError, ValueError):
    """A parameter that cannot work, alone or with the data at hand."""


class IncompatibleError(ConfigError):
    """A policy that the host, the backbone or the loss cannot work with; a comparison leaves it out."""


class DataError(SamixError, ValueError):
    """Missing, damaged or inconsistent data."""


class DependencyError(SamixError, ImportError):
    """An optional library or device that was asked for and is not there."""


class TrainingError(SamixError, RuntimeError):
    """Training that went wrong, such as a loss that is not finite."""
