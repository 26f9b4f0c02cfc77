"""What every entry point shares: Hydra set up with the schema, errors in one line.

Imports neither torch nor Lightning: `--help` and configuration errors answer at once.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config import TrainConfig
from alexnet.errors import UserError
from alexnet.paths import PROJECT

Typed = TypeVar("Typed")

OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
ConfigStore.instance().store(name="schema", node=TrainConfig)


def run(main: Callable[[], Any]) -> None:
    """Run a Hydra entry point; a user's mistake ends it with one line and status 1."""
    wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to here
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_trace:
            raise
        sys.exit(f"Error: {explain(error)}")


def read_config(raw: DictConfig, schema: type[Typed]) -> Typed:
    """The typed configuration. Raises `UserError` for a value that is missing or out of range."""
    missing = sorted(OmegaConf.missing_keys(raw))
    if missing:
        raise UserError(f"{missing[0]} is not set. Give it: {missing[0]}=...")
    typed = OmegaConf.to_object(raw)
    assert isinstance(typed, schema)
    return typed


def plain(raw: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain data, for config.yaml and checkpoints."""
    content = OmegaConf.to_container(raw, resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def typed_overrides() -> list[str]:
    """What was typed on the command line, for this job of a sweep."""
    return list(HydraConfig.get().overrides.task)


def in_sweep() -> bool:
    """Whether this is one job of `--multirun`."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def explain(error: BaseException) -> str:
    """One line for a configuration error: what, where, and the valid or nearest choice."""
    if isinstance(error, UserError):
        return str(error)
    text = f"{error}\n{error.__cause__ or ''}"
    if found := re.search(r"Could not find '([\w/]+)/([^/']+)'", text):
        group, choice = found.groups()
        return f"{group}={choice}: there is no such choice.{_choices(choice, _group_choices(text))}"
    if found := re.search(r"Could not override '([\w./@]+)'\.\s*No match in the defaults list", text):
        return f"{found[1]}: there is no such group or key.{_choices(found[1], _known_keys(''))}"
    if found := re.search(r"Key '([\w-]+)' is not in struct", text):
        parent = _parent_key(text)
        key = f"{parent}.{found[1]}" if parent else found[1]
        return f"{key}: there is no such key.{_choices(found[1], _known_keys(parent))}"
    if found := re.search(r"Error merging override (\S+)", text):
        reason = str(error.__cause__ or error).splitlines()[0]
        return f"{found[1]}: {_expected(found[1], reason)}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])


def _expected(override: str, reason: str) -> str:
    if found := re.search(r"expected one of \[(.*)\]", reason):
        return "no such value." + _choices(override.partition("=")[2], found[1].split(", "))
    return f"{reason[0].lower()}{reason[1:]}."


def _choices(given: str, choices: Iterable[str]) -> str:
    known = sorted(choice for choice in choices if not choice.startswith("_"))
    nearest = get_close_matches(given.strip("'\""), known, n=1, cutoff=0.5)
    asked = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"{asked} Choices: {', '.join(known)}." if known else asked


def _group_choices(text: str) -> list[str]:
    _, _, listed = text.partition("Available options in")
    return [line.strip() for line in listed.splitlines()[1:] if line.strip() and ":" not in line]


def _parent_key(text: str) -> str:
    found = re.search(r"full_key: ([\w.\[\]]+)", text) or re.search(r"Could not override '([\w.]+)'", text)
    return found[1].rpartition(".")[0] if found else ""


def _known_keys(parent: str) -> list[str]:
    node = OmegaConf.structured(TrainConfig)
    for part in filter(None, parent.split(".")):
        node_type = OmegaConf.get_type(node, part) if part in node else None
        if node_type is None or not isinstance(node_type, type):
            return []
        node = OmegaConf.structured(node_type)
    return [str(key) for key in node]
