"""Kedro's configuration, with the resolvers that samix' YAML files use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

_SQLITE = "sqlite:///"


class ProjectConfigLoader(OmegaConfigLoader):
    """OmegaConfigLoader that knows `${oc.env:...}`, `${project:...}` and `${beside:...}`.

    `${project:data}` is an absolute path below the project's root, whatever the working directory;
    `${beside:URI,NAME}` is the path NAME next to an sqlite file and null for any other store.
    """

    def __init__(self, conf_source: str | Path, env: str | None = None, **options: Any) -> None:
        here = Path.cwd()
        root = find_kedro_project(Path(conf_source).absolute()) or find_kedro_project(here) or here
        self._resolvers: dict[str, Callable[..., Any]] = {
            "oc.env": oc.env,
            "project": lambda path: str(root / path),
            "beside": beside,
        }
        super().__init__(conf_source, env, **options)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Part of the configuration. OmegaConf's resolvers are global: another project's may be set."""
        for name, resolver in self._resolvers.items():
            OmegaConf.register_new_resolver(name, resolver, replace=True)
        found: dict[str, Any] = super().__getitem__(key)
        return found


def beside(uri: str, name: str) -> str | None:
    """Path of `name` in the folder of an sqlite store; None where the store is none, as with a server."""
    if not uri.startswith(_SQLITE):
        return None
    return str(Path(uri.removeprefix(_SQLITE)).absolute().parent / name)
