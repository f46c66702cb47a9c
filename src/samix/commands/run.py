"""Run a pipeline: the options are those of `kedro run`."""

from __future__ import annotations

from collections.abc import Sequence

from samix.core.packages import require

NEEDS = {
    "kedro": "kedro",
    "kedro_datasets": "kedro-datasets",
    "kedro_mlflow": "kedro-mlflow",
    "mlflow": "mlflow",
    "torch": "torch",
}


def main(arguments: Sequence[str]) -> None:
    """Run `kedro run` with the arguments, inside the project.

    Raises: DependencyError if Kedro, MLflow or torch is missing; SystemExit at the end, as click does.
    """
    require("samix run", NEEDS)
    import click
    from kedro.framework.cli.utils import find_run_command
    from kedro.framework.project import configure_project

    configure_project("samix")
    parent = click.Context(click.Group("samix"), info_name="samix")
    run = find_run_command("samix")
    run(list(arguments), prog_name="run", parent=parent)  # a file for --config has a section of this name
