"""`python -m samix ...` is `kedro run ...`, started inside the project."""

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main() -> None:
    """Run the `kedro run` command with this process's arguments."""
    configure_project("samix")
    find_run_command("samix")()


if __name__ == "__main__":
    main()
