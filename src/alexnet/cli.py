"""What every entry point shares: Hydra set up with the schema, errors in one line.

Imports neither torch nor Lightning: `--help` and configuration errors answer at once.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from functools import wraps
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config.model import FORMS, AlexNetConfig, ModelConfig
from alexnet.errors import UserError
from alexnet.paths import CONF, PROJECT
from alexnet.run.settings import is_under
from alexnet.sweep.naming import settings_name, sweep_name

Typed = TypeVar("Typed")

# what a choice in conf/hydra/ is made from
PLUGINS = {
    "hydra/launcher/submitit_slurm": ("hydra/launcher=slurm", "hydra-submitit-launcher"),
    "hydra/sweeper/optuna": ("hydra/sweeper=search", "hydra-optuna-sweeper"),
}

# what Hydra builds of any class; of launchers and sweepers it takes its plugins alone
HYDRA_BUILDS = ("hydra.callbacks", "hydra.job_logging", "hydra.hydra_logging", "hydra.searchpath")

for family, form in FORMS.items():
    ConfigStore.instance().store(group="model", name=f"_{family}", node=form)
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
# Hydra hands a sweep's cache on to its jobs, which are thus in the same sweep's folder
OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True, use_cache=True)
OmegaConf.register_new_resolver("settings_name", settings_name, replace=True, use_cache=True)


def entry_point(
    name: str, schema: type, *, groups: bool = True, sweeps: bool = True
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a Hydra program of a function; a user's mistake ends it with one line and status 1.

    Its configuration is conf/<name>.yaml, of the form of `schema`, which that file names
    <name>_schema. In a sweep the other jobs still run, and the mistakes are told at the end, by
    the process that the user started: a launcher may run the jobs in others.
    Without `groups` the folders of conf/ are none of this program's: its keys may have their names.
    Without `sweeps` the program does one thing at a time, and -m is a mistake.
    """
    register(name, schema)
    if not groups:
        ConfigStore.instance().store(name=name, node=OmegaConf.load(CONF / f"{name}.yaml"))

    def decorate(job: Callable[[DictConfig], Any]) -> Callable[[], None]:
        mistakes: list[str] = []
        started = os.getpid()

        @wraps(job)
        def forgiving(raw: DictConfig) -> Any:
            try:
                return job(raw)
            except (UserError, OmegaConfBaseException) as error:
                if os.getpid() != started:
                    raise UserError(explain(error, schema)) from error  # the launcher hands it on
                mistakes.append(explain(error, schema))  # Hydra would print more than that one line
                return None

        where = str(CONF) if groups else None
        program = hydra.main(version_base="1.3", config_path=where, config_name=name)(forgiving)

        @wraps(job)
        def run() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to here
            sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
            if not sweeps and {"-m", "--multirun"} & set(sys.argv[1:]):
                sys.exit(f"Error: {name}.py takes one configuration at a time. Leave -m out.")
            try:
                check_builds_nothing(sys.argv[1:])
                program()
            except (UserError, HydraException, OmegaConfBaseException) as error:
                mistakes.append(explain(error, schema))
            except AssertionError as error:
                if "Unexpected type for root: NoneType" not in str(error):
                    raise
                mistakes.append(_below_nothing(sys.argv[1:]))
            except KeyboardInterrupt as stopped:
                sys.exit(str(stopped) or "Stopped.")
            local_rank = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
            if mistakes and local_rank != "0":
                sys.exit(1)  # the first process of this machine tells
            if mistakes:
                sys.exit("\n".join(f"Error: {mistake}" for mistake in dict.fromkeys(mistakes)))

        return run

    return decorate


def register(name: str, schema: type) -> None:
    """Make a schema known to Hydra as <name>_schema."""
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)


def check_builds_nothing(arguments: list[str]) -> None:
    """Raise `UserError` for an argument that would have Hydra build an object of any class.

    Callbacks and logging handlers of Hydra are such objects, a search path leads to more
    of them, a run that Hydra has recorded is a pickle.
    """
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if "_target_" in argument:
            raise UserError(f"{argument}: _target_ is not taken from the command line.")
        option = argument.partition("=")[0]
        places = option.lstrip("+~").replace("/", ".").split("@")
        builds = any(place == "hydra" or is_under(place, HYDRA_BUILDS) for place in places)
        if builds or re.match("--e|--config-p|-cp", option):
            raise UserError(f"{argument}: not taken from the command line.")
        if found := re.match("(?:--config-d[a-z]*|-cd)=?(.*)", argument):
            _check_folder_builds_nothing(Path(found[1] or following))


def _check_folder_builds_nothing(folder: Path) -> None:
    for file in sorted(folder.rglob("*.yaml")):
        try:
            content = str(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise UserError(f"Cannot read {file}: {str(error).splitlines()[0]}.") from error
        for said in ("_target_", "oc.decode", "oc.create"):  # the last two can make the first of pieces
            if said in content:
                raise UserError(f"{file}: {said} is not taken from there.")


def quoted(argument: str) -> str:
    """key=value with the value in quotes where Hydra could not read it: paths with spaces, for one."""
    key, equals, value = argument.partition("=")
    if argument.startswith("-") or not equals:
        return argument
    parser = OverridesParser.create()
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    for candidate in (argument, f"{key}='{escaped}'"):
        with suppress(HydraException):
            parser.parse_override(candidate)
            return candidate
    return argument


def read_config(raw: DictConfig, schema: type[Typed]) -> Typed:
    """The typed configuration. Raises `UserError` for a value that is missing or out of range."""
    missing = sorted(OmegaConf.missing_keys(raw))
    if missing:
        raise UserError(f"{missing[0]} is not set. Give it: {missing[0]}=...")
    given = OmegaConf.create(OmegaConf.to_container(raw))
    assert isinstance(given, DictConfig)
    typed = OmegaConf.to_object(OmegaConf.merge(_form(schema, given), given))  # refuses +key=value
    assert isinstance(typed, schema)
    return typed


def _form(schema: type, given: DictConfig) -> DictConfig:
    """The schema, with the keys of the network's family."""
    if schema is ModelConfig:
        return OmegaConf.structured(ModelConfig.of(given.get("family")))
    form = OmegaConf.structured(schema)
    if _has_network(schema) and isinstance(model := given.get("model"), DictConfig):
        form.model = ModelConfig.of(model.get("family"))
    return form


def _has_network(schema: type) -> bool:
    model = get_type_hints(schema).get("model")
    return ModelConfig in (model, *get_args(model))


def read_saved(saved: dict[str, Any], schema: type[Typed], file: Path) -> Typed:
    """The typed configuration of what was saved in `file`, in which a `${...}` means nothing.

    Raises `UserError`, which names the file, for one that is not of the schema's form.
    """
    try:
        return read_config(OmegaConf.create(_literal(saved)), schema)
    except (UserError, OmegaConfBaseException) as error:
        raise UserError(f"{file} is damaged: {explain(error, schema)}") from error


def _literal(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _literal(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_literal(value) for value in content]
    if isinstance(content, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", content)
    return content


def plain(raw: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain data, for config.yaml and checkpoints."""
    content = OmegaConf.to_container(raw, resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def typed_overrides() -> list[str]:
    """What was typed on the command line, for this job of a sweep."""
    return list(HydraConfig.get().overrides.task)


def check_study_is_swept(run_folder: str | None) -> None:
    """Raise `UserError` for a study that is started as one run. Its jobs have a folder given."""
    hydra_config = HydraConfig.get()
    study = hydra_config.runtime.choices.get("study")
    if study is not None and hydra_config.mode is RunMode.RUN and run_folder is None:
        raise UserError(
            f"study={study}: a study is many runs. Start it with -m: train.py -m study={study} ..."
        )


def shares_process() -> bool:
    """Whether other jobs of a sweep run in this process, too: only Hydra's basic launcher does that."""
    hydra_config = HydraConfig.get()
    return hydra_config.mode is RunMode.MULTIRUN and hydra_config.runtime.choices["hydra/launcher"] == "basic"


def explain(error: BaseException, schema: type) -> str:
    """One line for a configuration error: what, where, and the valid or nearest choice."""
    if isinstance(error, UserError):
        return str(error)
    text = f"{error}\n{error.__cause__ or ''}"
    if found := re.search(r"Could not find '([\w/]+)/([^/']+)'", text):
        group, choice = found.groups()
        return f"{group}={choice}: there is no such choice.{_choices(choice, _group_choices(text))}"
    for config, (choice, plugin) in PLUGINS.items():
        if f"'{config}'" in text:
            return f"{choice} needs a plugin of Hydra: install {plugin}."
    found = re.search(r"Could not override '([\w./@]+)'", text) or re.search(r"full_key: (\S+)", text)
    if found and ("not in" in text or "No match in the defaults list" in text):
        return _unknown_key(found[1], schema, text)
    if found := re.search(r"Error merging override (\S+)", text):
        reason = str(error.__cause__ or error).splitlines()[0]
        return f"{found[1]}: {_expected(found[1], reason)}"
    if isinstance(error, OverrideParseException):
        return f"Cannot read '{error.override}'. Expected key=value, in quotes where need be."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])


def _below_nothing(arguments: list[str]) -> str:
    """What to do about keys of a group of which nothing is chosen, as data.root where data is null."""
    keys = [argument.partition("=")[0].lstrip("+") for argument in arguments]
    below = next(key for key in keys if "." in key and key.partition(".")[0] not in (*keys, "hydra"))
    group = below.partition(".")[0]
    return f"{below}: nothing is chosen for {group}. Choose it, too: {group}=<choice>"


def _unknown_key(key: str, schema: type, text: str) -> str:
    if key.startswith("hydra."):
        return f"{key}: Hydra has no such key. Those that it has: python src/train.py --cfg hydra"
    node = OmegaConf.structured(schema)
    if _has_network(schema):
        named = (form for form in FORMS.values() if form.__name__ in text)
        node.model = next(named, AlexNetConfig)
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig) or part not in node:
            there = ".".join(parts[: depth + 1])
            choices = node.keys() if isinstance(node, DictConfig) else []
            return f"{there}: there is no such key.{_choices(part, map(str, choices))}"
        node = node._get_node(part)
    return f"{key}: cannot be set like this."


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
