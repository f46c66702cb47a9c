"""The pipelines by the names that `kedro run --pipeline=` takes."""

from kedro.pipeline import Pipeline

from samix.kedro.pipelines.chains import make_pipelines


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage by its own name; `samix_ssl`, also the default, and `samix_sl` as sums of theirs."""
    pipelines = make_pipelines()
    return {**pipelines, "__default__": pipelines["samix_ssl"]}
