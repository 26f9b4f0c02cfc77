"""Composition of conf/ by Hydra: its schemas, and model presets without a command line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import Enum
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config.arguments import parse_override
from alexnet.config.extensions import extension_folders
from alexnet.config.messages import format_error
from alexnet.config.model import ModelConfig
from alexnet.config.reading import read_config
from alexnet.config.registry import ConfigRegistry, to_node
from alexnet.config.training import TrainConfig
from alexnet.errors import UserError, suggest
from alexnet.paths import CONF, PROJECT

_schemas: dict[str, type] = {"train": TrainConfig}


def group_choices() -> dict[str, list[str]]:
    """Return the groups of conf/ and their choices, without schemas and bases."""
    groups: dict[str, set[str]] = {}
    for folder in (CONF, *extension_folders()):
        for file in folder.rglob("*.yaml"):
            group = file.parent.relative_to(folder).as_posix()
            if not file.stem.startswith("_") and not group.startswith((".", "hydra")):
                groups.setdefault(group, set()).add(file.stem)
    return {group: sorted(groups[group]) for group in sorted(groups)}


def check_choices(arguments: Sequence[str], schema: type) -> None:
    """Raise `UserError` for a choice of a group that is no name, or that of a base, such as data=_base.

    Also for a deleted group, ~data, that the configuration `schema` cannot do without.
    """
    groups = group_choices()
    needed = {field.name for field in fields(schema) if field.default is not None}
    for argument in arguments:
        group = argument.partition("=")[0].lstrip("+~").partition("@")[0]
        if not group:
            raise UserError(f"{argument}: expected key=value.")
        if argument.startswith("~") and group in needed and group in groups:
            raise UserError(f"{argument}: a group needs a choice. Choices: {', '.join(groups[group])}.")
        if group in groups and not _is_a_name(argument):
            nearest = suggest(argument.partition("=")[2], groups[group])
            choices = ", ".join(groups[group])
            raise UserError(f"{argument}: there is no such choice.{nearest} Choices: {choices}.")


def _is_a_name(argument: str) -> bool:
    """Return whether an override chooses a file by name, or several; None chooses nothing."""
    override = parse_override(argument)
    if override is None or override.is_sweep_override():
        return True  # Hydra says what is wrong
    chosen = override.value()
    names = chosen if isinstance(chosen, list) and not override.is_delete() else [chosen]
    return all(name is None or (isinstance(name, str) and not name.startswith("_")) for name in names)


def list_groups() -> str:
    """Return the groups and their choices for --help, a line each."""
    return "\n".join(f"{group}: {', '.join(choices)}" for group, choices in group_choices().items())


OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
OmegaConf.register_new_resolver("list_groups", list_groups, replace=True)


def register(name: str, schema: type) -> None:
    """Register the schema of conf/<name>.yaml with Hydra, as <name>_schema."""
    _schemas[name] = schema
    ConfigStore.instance().store(name=f"{name}_schema", node=to_node(schema))


def register_choices() -> None:
    """Register the schemas of all choices with Hydra, each as _<name> in its group.

    Those of the programs, too, to which an extension may have added keys.
    """
    store = ConfigStore.instance()
    for registry in ConfigRegistry.of_base.values():
        for name in registry.names():
            store.store(group=registry.group, name=f"_{name}", node=registry.node(name))
    for name, schema in _schemas.items():
        register(name, schema)


register_choices()


def list_presets() -> list[str]:
    """Return the names of the presets, sorted."""
    files = [file for folder in (CONF, *extension_folders()) for file in (folder / "model").glob("*.yaml")]
    return sorted({file.stem for file in files if not file.stem.startswith("_")})


def compose_model(preset: str, changes: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of a preset, with changes of its keys as after `model.` on a command line.

    Raises `UserError` for a preset, key or value that does not exist, with the nearest one.
    """
    overrides = [f"model={preset}", *(f"model.{key}={_to_override(changes[key])}" for key in changes)]
    register_choices()  # a module may have registered more
    try:
        with _own_hydra():
            raw = compose("train", overrides)
        return read_config(raw.model, ModelConfig)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(format_error(error, TrainConfig)) from None


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Initialize Hydra for conf/, then restore its global state: the caller may be a program of Hydra's."""
    outer = GlobalHydra.instance()
    hydra, version = outer.hydra, VersionBase.instance().version_base
    outer.clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            yield
    finally:
        GlobalHydra.set_instance(outer)
        outer.hydra = hydra
        VersionBase.instance().version_base = version


def _to_override(value: Any) -> str:
    """Return a value in the syntax of Hydra's overrides, of which JSON is a part."""
    return json.dumps(value, default=lambda other: other.value if isinstance(other, Enum) else str(other))
