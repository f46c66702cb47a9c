"""`kedro run` until its first node begins, in this process: python benchmarks/traced_start.py, in a project

Its last line is a JSON object, part of the start -> seconds; the parts follow each other and leave nothing
out but the start of Python itself. For benchmarks/startup.py.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402 - the clock runs already
import os  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402


class Marks:
    """The ends of the parts, in the order in which they come."""

    def __init__(self) -> None:
        self.last = BEGAN
        self.parts: dict[str, float] = {}

    def end(self, part: str) -> None:
        """What has happened since the last mark was this part."""
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now

    def before(self, hook_name: str, *_: Any) -> None:
        """Kedro is about to call a hook."""
        if hook_name == "after_context_created":
            self.end("pipelines registered")
        elif hook_name == "before_pipeline_run":
            self.end("catalog made")
        elif hook_name == "before_node_run":
            self.end("data sets of the run made")
            print(json.dumps(self.parts), flush=True)
            os._exit(0)

    def after(self, _: Any, hook_name: str, *__: Any) -> None:
        """Kedro has called a hook."""
        if hook_name == "after_context_created":
            self.end("MLflow's store opened")
        elif hook_name == "before_pipeline_run":
            self.end("MLflow's run opened")


def main() -> None:
    """Run, and end the process at the first node."""
    marks = Marks()
    from kedro.framework.cli import cli
    from kedro.framework.session import session

    marks.end("Kedro imported")
    create, initialise = session._create_hook_manager, cli.KedroCLI.__init__
    make = session.KedroSession.__dict__["create"].__func__

    def watched() -> Any:
        manager = create()
        manager.add_hookcall_monitoring(marks.before, marks.after)
        return manager

    def collected(*arguments: Any, **options: Any) -> None:
        initialise(*arguments, **options)
        marks.end("settings and commands of the plugins imported")
        from samix.kedro import parameter_hook

        check = parameter_hook.check_parameters

        def checked(*values: Any) -> None:
            check(*values)
            marks.end("parameters checked")

        parameter_hook.check_parameters = checked

    def made(kind: type, *arguments: Any, **options: Any) -> Any:
        found = make(kind, *arguments, **options)
        marks.end("hooks of the plugins imported, MLflow with them")
        return found

    session._create_hook_manager = watched
    cli.KedroCLI.__init__ = collected  # type: ignore[method-assign]
    session.KedroSession.create = classmethod(made)  # type: ignore[method-assign, assignment]
    sys.argv = ["kedro", "run"]
    cli.main()


if __name__ == "__main__":
    main()
