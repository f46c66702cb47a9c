"""Silences third parties by name, before they are imported: called by Kedro as a plugin and by settings."""

import os
import warnings

_MESSAGES = (
    # `--pipeline=NAME` is what the README uses; Kedro keeps it beside `--pipelines`
    "Option '--pipeline' is deprecated",
    # the data sets that cross from stage to stage are called <stage>.<thing> on purpose
    "One or more dataset names contain '.' characters",
    # kedro-mlflow defines a model class that MLflow remarks upon; samix logs no such models
    ".*Add type hints to the `predict` method",
)


def quiet() -> None:
    """Switch off telemetry, Kedro's and MLflow's obey one word, and warnings that are of no use here."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    for message in _MESSAGES:
        warnings.filterwarnings("ignore", message)
