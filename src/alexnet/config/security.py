"""Rejection of command lines that would make Hydra build objects of arbitrary classes."""

import re
from itertools import zip_longest
from pathlib import Path

import yaml

from alexnet.config.hashing import is_under
from alexnet.errors import UserError, first_line

# Hydra builds these from any class; for launchers and sweepers it accepts only its plugins
BUILT_BY_HYDRA = ("hydra.callbacks", "hydra.job_logging", "hydra.hydra_logging", "hydra.searchpath")
BUILDERS = ("_target_", "oc.decode", "oc.create")  # the last two can assemble the first from pieces


def check_builds_nothing(arguments: list[str]) -> None:
    """Raise `UserError` for an argument that would make Hydra build an object of an arbitrary class.

    Hydra's callbacks and logging handlers are such objects, a search path can add more, and a run that Hydra
    has recorded is a pickle.
    """
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if "_target_" in argument:
            raise UserError(f"{argument}: _target_ is not allowed on the command line.")
        option = argument.partition("=")[0]
        keys = option.lstrip("+~").replace("/", ".").split("@")
        builds = any(key == "hydra" or is_under(key, BUILT_BY_HYDRA) for key in keys)
        if builds or re.match("--e|--config-p|-cp", option):
            raise UserError(f"{argument}: not allowed on the command line.")
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
                raise UserError(f"{file}: {builder} is not allowed in it.")
