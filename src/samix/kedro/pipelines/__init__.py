"""Kedro pipelines, made from the declarations in `samix.stages`. Nodes import what is heavy when they run."""
