"""Types and valid ranges of configuration keys, as the schema has them."""

import re
from dataclasses import fields
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf
from yaml_file import YamlFile, read_yaml

from alexnet.config.base import PathKey
from alexnet.config.registry import ConfigRegistry, to_node
from alexnet.errors import UserError

NUMBERS = (-1, 0, 1, 2, 4, 17, 101, 10**12)
FRACTIONS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 101.0)
# what a list or mapping should not hold, if anything is wrong with it
LISTS: tuple[list[Any], ...] = ([], [-1], [0], [0.0], ["?"], [1, 1], [-1, -1], [0, 0, 0])
MAPPINGS: tuple[dict[str, Any], ...] = ({"?": -1}, {"?": []})


def describe_type(hint: Any) -> str:
    """Return the type of a key in words: "whole number, or null"."""
    if get_origin(hint) is Annotated:
        marks = [mark for mark in get_args(hint) if isinstance(mark, PathKey)]
        if marks:
            return "path, or a list of paths" if marks[0].several else "path"
        return describe_type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        options = [describe_type(option) for option in get_args(hint) if option is not NoneType]
        return ", ".join(options) + (", or null" if NoneType in get_args(hint) else "")
    if get_origin(hint) is list:
        return f"list of: {describe_type(*get_args(hint))}"
    if get_origin(hint) is dict:
        return f"mapping of names to: {describe_type(get_args(hint)[1])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{choice.value}`" for choice in hint)
    return {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Any: "any"}[hint]


class Schema:
    """The class of a group or program of the configuration, with the values of one of its YAML files."""

    def __init__(self, schema: type, prefix: str, values: dict[str, Any]) -> None:
        self.schema, self._defaults = _extended(schema)
        self.prefix, self._values = prefix, values
        self._hints = _hints(self.schema)

    def names(self) -> list[str]:
        """Return the names of all keys, those of nested configurations with the keys that they are in."""
        names = []
        for key in fields(self.schema):
            nested = self.nested(key.name)
            names += [key.name] if nested is None else [f"{key.name}.{name}" for name in nested.names()]
        return names

    def nested(self, name: str) -> "Schema | None":
        """Return the schema of a key that is a configuration itself."""
        for candidate in (self._hints[name], *get_args(self._hints[name])):
            if isinstance(candidate, type) and hasattr(candidate, "__dataclass_fields__"):
                below = self._values.get(name)
                return Schema(candidate, f"{self.prefix}{name}.", below if isinstance(below, dict) else {})
        return None

    def find(self, name: str) -> tuple["Schema", str] | None:
        """Return the schema that has a key, and its name there; None if there is no such key."""
        first, _, rest = name.partition(".")
        if first not in self._hints:
            return None
        nested = self.nested(first)
        return (self, first) if nested is None or not rest else nested.find(rest)

    def type_of(self, name: str) -> str:
        """Return the type of a key of this very schema, in words."""
        return describe_type(self._hints[name])

    def default_of(self, name: str) -> Any:
        """Return the default in the dataclass; MISSING if there is none."""
        return self._defaults.get(name, MISSING)

    def range_of(self, name: str) -> str:
        """Return what the schema's checks say is valid, asked by values that are not; empty if none is."""
        for value in _candidates(self._hints[name]):
            if message := self._complaint(name, value):
                return message
        return ""

    def _complaint(self, name: str, value: Any) -> str:
        config: Any = object.__new__(self.schema)
        vars(config).update(self._values | {name: value})
        key = re.escape(f"{self.prefix}{name}")
        try:
            config.check()
        except UserError as error:
            said = re.match(rf"{key}[^=]*=.*?: expected (.*)\.$", str(error), re.DOTALL)
            choices = re.match(rf"{key}=.*: there is no such .* Choices: (.*)\.$", str(error), re.DOTALL)
            if choices:
                return ", ".join(f"`{choice}`" for choice in choices[1].split(", "))
            return said[1] if said else ""
        except (AttributeError, TypeError, ValueError):
            pass  # checked together with other keys, which are not there
        return ""


@cache
def _extended(schema: type) -> tuple[type, dict[str, Any]]:
    """Return a class with the keys that registered choices add to it, and its defaults."""
    node = to_node(schema)
    return cast(type, OmegaConf.get_type(node)), cast(dict[str, Any], OmegaConf.to_container(node))


@cache
def _hints(schema: type) -> dict[str, Any]:
    return get_type_hints(schema, include_extras=True)


def _candidates(hint: Any) -> tuple[Any, ...]:
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    candidates: tuple[Any, ...] = ()
    for option in options:
        if option is int:
            candidates += NUMBERS
        elif option is float:
            candidates += FRACTIONS
        elif option is str:
            candidates += ("?",)
        elif get_origin(option) is list:
            candidates += LISTS
        elif get_origin(option) is dict:
            candidates += MAPPINGS
    return candidates


def values_of(file: YamlFile, registry: ConfigRegistry[Any] | None) -> tuple[type | None, dict[str, Any]]:
    """Return the class of a choice of a group, and its values with those of the choices it is built on."""
    schema: type | None = None
    values: dict[str, Any] = {}
    for base in file.bases:
        name = base.removeprefix("_")
        if base.startswith("_") and registry is not None and name in registry.names():
            schema = registry[name]
        else:
            below, inherited = values_of(read_yaml(file.path.with_name(f"{base}.yaml")), registry)
            schema, values = schema or below, _merge(values, inherited)
    return schema, _merge(values, file.content)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    nested = {
        key: _merge(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | nested
