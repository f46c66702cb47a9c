"""Kedro's configuration, with the resolvers and the recipes that samix' YAML files use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from samix.core.errors import ConfigError
from samix.core.suggestions import did_you_mean

RECIPES = "recipes"
"""Folder of conf/ with parts that environments share, and the key that names them."""
_SQLITE = "sqlite:///"


class ProjectConfigLoader(OmegaConfigLoader):
    """OmegaConfigLoader that knows recipes, `${oc.env:...}`, `${project:...}` and `${beside:...}`.

    A file of parameters with `recipes: [paper, moco]` is a difference to conf/recipes/paper.yml and moco.yml,
    merged key by key in this order, each once; recipes may name recipes likewise.

    `${project:data}` is an absolute path below the project's root, whatever the working directory;
    `${beside:URI,NAME}` is the path NAME next to an sqlite file and null for any other store.
    """

    def __init__(self, conf_source: str | Path, env: str | None = None, **options: Any) -> None:
        here = Path.cwd()
        self._root = find_kedro_project(Path(conf_source).absolute()) or find_kedro_project(here) or here
        resolvers: dict[str, Callable[..., Any]] = {"oc.env": oc.env, "beside": beside}
        super().__init__(conf_source, env, custom_resolvers=resolvers, **options)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Load as OmegaConfigLoader does, with paths below this loader's project."""
        # OmegaConf has one resolver per name, and Kedro keeps the first, which may belong to another project
        OmegaConf.register_new_resolver("project", lambda path: str(self._root / path), replace=True)
        return super().__getitem__(key)

    def _read_dir_configs(
        self, conf_path: str, patterns: Iterable[str], key: str, *others: Any
    ) -> dict[Path, DictConfig]:
        """As Kedro reads the files of an environment; parameters with their recipes.

        Raises: ConfigError for a recipe that does not exist.
        """
        found: dict[Path, DictConfig] = super()._read_dir_configs(conf_path, patterns, key, *others)
        if key != "parameters":
            return found
        return {path: self._with_recipes(path, config) for path, config in found.items()}

    def _with_recipes(self, path: Path, config: DictConfig) -> DictConfig:
        parts: dict[str, DictConfig] = {}
        self._add_recipes(path, config, parts)
        merged = OmegaConf.unsafe_merge(*parts.values(), config)
        assert isinstance(merged, DictConfig)  # all of them are
        return merged

    def _add_recipes(self, path: Path, config: DictConfig, parts: dict[str, DictConfig]) -> None:
        """Add the recipes that a file names, those that they name before them; the key is removed."""
        names = config.pop(RECIPES, [])
        if isinstance(names, str):
            raise ConfigError(f"{path}: recipes is a list of names, such as [{names}].")
        folder = self._get_conf_env_path(RECIPES)
        for name in names:
            if name in parts:
                continue
            found = super()._read_dir_configs(folder, [f"{name}.yml"], "parameters", set())
            if not found:
                known = [Path(file).stem for file in self._fs.glob(f"{folder}/*.yml")]
                raise ConfigError(f"{path}: there is no recipe {name!r}. {did_you_mean(name, known)}.")
            ((file, recipe),) = found.items()
            self._add_recipes(file, recipe, parts)
            parts[name] = recipe


def beside(uri: str, name: str) -> str | None:
    """Path of `name` in the folder of an sqlite store; None where the store is none, as with a server."""
    if not uri.startswith(_SQLITE):
        return None
    return str(Path(uri.removeprefix(_SQLITE)).absolute().parent / name)
