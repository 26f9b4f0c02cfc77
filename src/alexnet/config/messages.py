"""One-line messages for configuration errors: what is wrong, where, and the nearest valid choice."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra.errors import OverrideParseException
from omegaconf import DictConfig

from alexnet.config.registry import groups_of, nested_schemas, to_node
from alexnet.config.renamed import RENAMED_VALUES, new_name
from alexnet.errors import UserError, suggest
from alexnet.paths import CONF, command_for

# plugins that provide a choice in conf/hydra/
PLUGINS = {
    "hydra/launcher/submitit_slurm": ("hydra/launcher=slurm", "hydra-submitit-launcher"),
    "hydra/sweeper/optuna": ("hydra/sweeper=search", "hydra-optuna-sweeper"),
}
# what a key takes, by what OmegaConf says of a value that it could not convert
KINDS = {
    r"could not be converted to Integer": "an integer",
    r"could not be converted to Float": "a number",
    r"not a valid bool": "true or false",
}


def format_error(error: BaseException, schema: type) -> str:
    """Format a configuration error in one line: what, where, and the valid or nearest choice."""
    if isinstance(error, UserError):
        return str(error)
    text = f"{error}\n{error.__cause__ or ''}"
    if match := re.match(r"UserError raised while resolving interpolation: (.*)", text):
        return match[1]
    if match := re.search(r"Environment variable '(\w+)' not found", text):
        where = re.search(r"full_key: (\S+)", text)
        return f"{where[1] if where else '${oc.env:...}'}: the environment variable {match[1]} is not set."
    if match := re.search(r"Cannot find primary config '([^']+)'", text):
        return f"--config-name={match[1]}: there is no such configuration.{_elsewhere(match[1])}"
    if match := re.search(r"Could not find '([\w/]+)/([^/']+)'", text):
        group, choice = match.groups()
        if (renamed := RENAMED_VALUES.get((group, choice))) is not None:
            return f"{group}={choice}: renamed to {group}={renamed}."
        return f"{group}={choice}: there is no such choice.{_list_choices(choice, _group_choices(text))}"
    for config, (choice, plugin) in PLUGINS.items():
        if f"'{config}'" in text:
            return f"{choice} needs a plugin of Hydra: install {plugin}."
    match = re.search(r"Could not override '([\w./@]+)'", text) or re.search(r"full_key: (\S+)", text)
    if match and ("not in" in text or "No match in the defaults list" in text):
        return _unknown_key(match[1], schema, text)
    if match := re.search(r"Error merging override (\S+)", text):
        reason = str(error.__cause__ or error).splitlines()[0]
        key, _, value = match[1].partition("=")
        if (renamed := RENAMED_VALUES.get((key, value))) is not None:
            return f"{match[1]}: renamed to {key}={renamed}."
        return f"{match[1]}: {_expected(match[1], reason, schema)}"
    if isinstance(error, OverrideParseException):
        return f"Cannot read '{error.override}'. Expected key=value, quoted where necessary."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])


def format_missing_choice(arguments: list[str], groups: Mapping[str, Iterable[str]]) -> str:
    """Explain that a key belongs to a group without a choice, or to one that is null.

    Such as data.root while data is null. `groups` maps all groups to their choices.
    """
    keys = [argument.partition("=")[0].lstrip("+") for argument in arguments]
    given = {key: argument.partition("=")[2] for key, argument in zip(keys, arguments, strict=True)}
    if null := next((key for key in keys if key in groups and given[key] == "null"), None):
        return f"{null}=null: a group needs a choice.{_list_choices('null', groups[null])}"
    for key in keys:
        group = key.partition(".")[0]
        if key != group and group not in (*keys, "hydra"):
            if group in groups:
                return f"{key}: no {group} is chosen. Add {group}=<choice>."
            return f"{key}: {group} is null and has no keys."
    return f"{' '.join(arguments)}: cannot be composed."


def _unknown_key(key: str, schema: type, text: str) -> str:
    if (renamed := new_name(key)) is not None:
        return f"{key}: renamed to {renamed}."
    if key.startswith("hydra."):
        return f"{key}: Hydra has no such key. To list its keys: {command_for('train')} --cfg hydra"
    value: Any = _with_groups(schema, text)
    node = value
    parts = key.split(".")
    for depth, part in enumerate(parts):
        path = ".".join(parts[: depth + 1])
        if isinstance(value, DictConfig) and value._metadata.object_type is dict:
            return f"{path}: there is no such key yet. To add it, write a plus: +{path}=..."
        if not isinstance(value, DictConfig) or part not in value:
            choices = value.keys() if isinstance(value, DictConfig) else []
            if depth == 0 and (full := _keys_ending_in(part, node)):
                return f"{path}: there is no such key. Did you mean {' or '.join(full)}?"
            return f"{path}: there is no such key.{_list_choices(part, map(str, choices))}"
        nested = value._metadata.object_type
        optional = nested_schemas(nested).get(part) if isinstance(nested, type) else None
        value = value._get_node(part)
        if optional is not None and value._is_none():
            value = to_node(optional)
    if isinstance(value, DictConfig) and value._metadata.object_type is dict:
        return f"{key}: its keys are new. To add them, write a plus: '+{key}={{...}}'"
    return f"{key}: cannot be set this way."


def _keys_ending_in(name: str, node: DictConfig) -> list[str]:
    """Return the keys below a node of this name, and of names that end in it: max_epochs for epochs."""
    keys = list(_keys_of(node))
    return [key for key in keys if key.endswith((f".{name}", f"_{name}"))]


def _keys_of(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, node):
        below = node._get_node(name)
        if isinstance(below, DictConfig) and not below._is_none() and not below._is_missing():
            yield from _keys_of(below, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _elsewhere(choice: str) -> str:
    """Suggest the groups that have this choice."""
    found = [file.parent.name for file in sorted(CONF.glob(f"*/{choice}.yaml")) if choice[0] != "_"]
    return f" Did you mean {' or '.join(f'{group}={choice}' for group in found)}?" if found else ""


def _with_groups(schema: type, text: str) -> DictConfig:
    """Return a schema with a choice in each group: one whose class an error's text names, or the default."""
    node = to_node(schema)
    for group, registry in groups_of(schema).items():
        named = [name for name in registry.names() if _names_a_class_of(registry[name], text)]
        node[group] = registry.node((named or [registry.default or registry.names()[0]])[0])
    return node


def _names_a_class_of(schema: type, text: str) -> bool:
    """Return whether an error's text names a schema, or one of those below it."""
    nested = nested_schemas(schema).values()
    return f"'{schema.__name__}'" in text or any(_names_a_class_of(below, text) for below in nested)


def _expected(override: str, reason: str, schema: type) -> str:
    """Say which values a key takes, from the reason why it does not take this one."""
    key, _, value = override.partition("=")
    if match := re.search(r"expected one of \[(.*)\]", reason):
        return "no such value." + _list_choices(value, match[1].split(", "))
    if "does not support deletion" in reason:
        return f"a key cannot be deleted. Give it another value: {key.lstrip('~')}=..."
    if "is not a ListConfig" in reason or "with ListConfig" in reason:
        return f"expected a list: {_as_list(key, value)}"
    if re.search(r"[Cc]annot assign \w+ to Dict", reason):
        return f"expected keys with values: '{key}={{<key>:<value>}}'"
    if re.search(r"not a subclass of \w+Config", reason):
        below = _keys_below(key, schema, reason)
        if not below:
            return "there is no such key."
        return f"it is a group of keys.{_list_choices('', below, 'Keys')}"
    for converted, words in KINDS.items():
        if re.search(converted, reason):
            return f"expected {words}."
    return f"{reason[0].lower()}{reason[1:].rstrip('.')}."


def _as_list(key: str, value: str) -> str:
    """Return an override with its value as a list, to be pasted into a shell."""
    item = value.strip("'\"")
    if item.startswith("{"):
        return f"{key}=[...]"
    if re.fullmatch(r"\[[^=]*\]", item) or re.fullmatch(r"[\w./-]+", item):
        return f"{key}=[{item.strip('[]')}]"
    return f"\"{key}=['{item.strip('[]')}']\""


def _keys_below(key: str, schema: type, text: str) -> list[str]:
    value: Any = _with_groups(schema, text)
    for part in key.lstrip("+").split("."):
        nested = nested_schemas(value._metadata.object_type)
        if part not in nested and part not in value:
            return []
        value = to_node(nested[part]) if part in nested else value[part]
    return [str(below) for below in value]


def _list_choices(given: str, choices: Iterable[str], what: str = "Choices") -> str:
    known = sorted(choice for choice in choices if not choice.startswith("_"))
    nearest = suggest(given.strip("'\""), known)
    return f"{nearest} {what}: {', '.join(known)}." if known else ""


def _group_choices(text: str) -> list[str]:
    _, _, listed = text.partition("Available options in")
    return [line.strip() for line in listed.splitlines()[1:] if line.strip() and ":" not in line]
