"""Conversion of composed and saved configurations to typed objects and to plain data."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config.arguments import path_key
from alexnet.config.extensions import require_extensions
from alexnet.config.messages import format_error
from alexnet.config.registry import ConfigRegistry, groups_of, to_node
from alexnet.errors import UserError

Typed = TypeVar("Typed")


def read_config(raw: DictConfig, schema: type[Typed]) -> Typed:
    """Convert to the typed configuration. Raises `UserError` for a missing or invalid value."""
    missing = sorted(OmegaConf.missing_keys(raw))
    if missing:
        raise UserError(f"{missing[0]} is not set. Set it: {missing[0]}=...{_on_other_data(missing[0], raw)}")
    plain = OmegaConf.to_container(raw)
    assert isinstance(plain, dict)
    require_extensions(plain.get("extensions"))
    given = OmegaConf.create(plain)
    typed = OmegaConf.to_object(OmegaConf.merge(_schema_for(schema, given), given))  # refuses +key=value
    assert isinstance(typed, schema)
    _refuse_empty_paths(typed)
    return typed


def _on_other_data(key: str, raw: DictConfig) -> str:
    """Say how to do without a data set that is not at hand."""
    if key != "data.root":
        return ""
    return (
        f", the folder with your copy of data={raw.data.name}; or choose other data, such as data=imagenette"
    )


def _refuse_empty_paths(config: Any, prefix: str = "") -> None:
    """Raise `UserError` for a path without characters, which would be the current folder."""
    for key in fields(config):
        value = getattr(config, key.name)
        if is_dataclass(value):
            _refuse_empty_paths(value, f"{prefix}{key.name}.")
        elif isinstance(value, str) and not value.strip() and path_key(type(config), key.name):
            name = f"{prefix}{key.name}"
            raise UserError(f"{name}= is empty. Give a path, or leave it out; the current folder is {name}=.")


def _schema_for(schema: type, given: DictConfig) -> DictConfig:
    """Return the schema, with the keys of the choices that are given."""
    if (registry := ConfigRegistry.of_base.get(schema)) is not None:
        return to_node(registry.schema_of(given))
    node = to_node(schema)
    for name, registry in groups_of(schema).items():
        if isinstance(group := given.get(name), DictConfig):
            node[name] = to_node(registry.schema_of(group))
        elif OmegaConf.is_missing(node, name):
            node[name] = to_node(registry.base)
    return node


def read_saved(saved: dict[str, Any], schema: type[Typed], file: Path) -> Typed:
    """Convert the configuration saved in `file`, in which `${...}` is plain text.

    Raises a `UserError` that names the file for content that does not match the schema.
    """
    try:
        return read_config(OmegaConf.create(_escape_interpolations(saved)), schema)
    except (UserError, OmegaConfBaseException) as error:
        raise UserError(f"{file} is damaged: {format_error(error, schema)}") from error


def _escape_interpolations(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _escape_interpolations(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_escape_interpolations(value) for value in content]
    if isinstance(content, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", content)
    return content


def to_plain_dict(raw: DictConfig) -> dict[str, Any]:
    """Resolve the configuration to plain data, for config.yaml and checkpoints."""
    content = OmegaConf.to_container(raw, resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
