"""Refusal of command lines that would have Hydra build objects of any class."""

import re
from itertools import zip_longest
from pathlib import Path

import yaml

from alexnet.config.hashing import is_under
from alexnet.errors import UserError, first_line

# what Hydra builds of any class; for launchers and sweepers it accepts its plugins alone
BUILT_BY_HYDRA = ("hydra.callbacks", "hydra.job_logging", "hydra.hydra_logging", "hydra.searchpath")
BUILDERS = ("_target_", "oc.decode", "oc.create")  # the last two can assemble the first from pieces


def check_builds_nothing(arguments: list[str]) -> None:
    """Raise `UserError` for an argument that would have Hydra build an object of any class.

    Hydra's callbacks and logging handlers are such objects, a search path leads to more of them, and a run
    that Hydra has recorded is a pickle.
    """
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if "_target_" in argument:
            raise UserError(f"{argument}: _target_ is not taken from the command line.")
        option = argument.partition("=")[0]
        keys = option.lstrip("+~").replace("/", ".").split("@")
        builds = any(key == "hydra" or is_under(key, BUILT_BY_HYDRA) for key in keys)
        if builds or re.match("--e|--config-p|-cp", option):
            raise UserError(f"{argument}: not taken from the command line.")
        if config_dir := re.match("(?:--config-d[a-z]*|-cd)=?(.*)", argument):
            _check_folder_builds_nothing(Path(config_dir[1] or following))


def _check_folder_builds_nothing(folder: Path) -> None:
    for file in sorted(folder.rglob("*.yaml")):
        try:
            content = str(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise UserError(f"Cannot read {file}: {first_line(error)}.") from error
        for builder in BUILDERS:
            if builder in content:
                raise UserError(f"{file}: {builder} is not taken from there.")
