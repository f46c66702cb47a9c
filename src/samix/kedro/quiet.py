"""Silences third parties by name."""

import logging
import os

_MESSAGES = (
    # `--pipeline=NAME` is what the README uses; Kedro keeps it along with `--pipelines`
    "Option '--pipeline' is deprecated",
    # the data sets that cross from stage to stage are called <stage>.<thing> on purpose
    "dataset names contain '.' characters",
    # kedro-mlflow defines a model class that MLflow remarks upon; samix logs no such models
    "Add type hints to the `predict` method",
    # kedro-viz has not followed FastAPI yet
    "ORJSONResponse is deprecated",
)


def quiet() -> None:
    """Switch off telemetry, Kedro's and MLflow's obey one word, and warnings that are of no use here."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # Kedro sends warnings to this logger; MLflow overrules filters of the warnings module
    logger = logging.getLogger("py.warnings")
    if _is_useful not in logger.filters:
        logger.addFilter(_is_useful)


def _is_useful(record: logging.LogRecord) -> bool:
    return not any(message in record.getMessage() for message in _MESSAGES)
