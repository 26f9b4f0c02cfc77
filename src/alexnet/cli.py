"""Hydra programs: the schema registered, a user's mistake told in one line.

Imports neither torch nor Lightning: `--help` and configuration errors answer at once.
"""

import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from itertools import zip_longest
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config import MODEL_CONFIGS
from alexnet.config.hashing import is_under
from alexnet.config.messages import format_error, format_missing_choice, quote_override
from alexnet.errors import UserError
from alexnet.paths import CONF, PROJECT

# what Hydra builds of any class; of launchers and sweepers it takes its plugins alone
HYDRA_BUILDS = ("hydra.callbacks", "hydra.job_logging", "hydra.hydra_logging", "hydra.searchpath")

for family, form in MODEL_CONFIGS.items():
    ConfigStore.instance().store(group="model", name=f"_{family}", node=form)
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)


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
                    raise UserError(format_error(error, schema)) from error  # the launcher hands it on
                mistakes.append(format_error(error, schema))  # Hydra would print more than that one line
                return None

        where = str(CONF) if groups else None
        program = hydra.main(version_base="1.3", config_path=where, config_name=name)(forgiving)

        @wraps(job)
        def run() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to here
            sys.argv[1:] = [quote_override(argument) for argument in sys.argv[1:]]
            if not sweeps and {"-m", "--multirun"} & set(sys.argv[1:]):
                sys.exit(f"Error: {name}.py takes one configuration at a time. Leave -m out.")
            try:
                check_builds_nothing(sys.argv[1:])
                program()
            except (UserError, HydraException, OmegaConfBaseException) as error:
                mistakes.append(format_error(error, schema))
            except AssertionError as error:
                if "Unexpected type for root: NoneType" not in str(error):
                    raise
                mistakes.append(format_missing_choice(sys.argv[1:]))
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
