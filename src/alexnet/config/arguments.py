"""Arguments as a user types them, made into what Hydra reads: a path is one value, whatever is in it."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import join
from typing import get_args, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from alexnet.config.base import PathKey
from alexnet.config.registry import choices_of, nested_schemas
from alexnet.errors import UserError
from alexnet.paths import command_for
from alexnet.ranks import process_rank

# keys of Hydra's own schema that hold paths
HYDRA_PATHS = ("hydra.sweep.dir", "hydra.sweep.subdir", "hydra.launcher.submitit_folder")

# --key=value, without the options of Hydra that have a value
DASHED = re.compile(r"--(?!(config-(name|path|dir)|cfg|package|info|experimental-rerun)=)[\w./@]+=")
THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


def tidy(arguments: Sequence[str]) -> list[str]:
    """Return the arguments as Hydra's parser wants them.

    Overrides come last, as in study=depth -m seed=1. They may begin with dashes, as those of an agent of W&B
    (--model.lrn=false), and end in the carriage return of a file from Windows.
    """
    arguments = [argument.rstrip("\r") for argument in arguments]
    arguments = [argument[2:] if DASHED.match(argument) else argument for argument in arguments]
    return sorted(arguments, key=lambda argument: argument[:1] != "-" and bool({"=", "~"} & set(argument)))


def quote_arguments(arguments: Sequence[str], schema: type) -> list[str]:
    """Quote for Hydra the values of `key=value` that it would not read as they are typed.

    The value of a key that `schema` marks as a path is one path, with its commas, quotes and brackets. One in
    quotes or with escapes of Hydra's is left to Hydra, and so is `${...}`, unless a path with exactly these
    characters exists. A key for several paths takes a list in brackets. In a sweep, several paths with commas
    between them are its values, if there is no path of this name.
    """
    swept = is_sweep(arguments)
    return [_quote_argument(argument, schema, swept) for argument in arguments]


def quote_value(text: str) -> str:
    """Quote a text so that Hydra reads exactly this text; nothing in it is interpolated."""
    return _quote(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def is_sweep(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for a sweep."""
    return bool({"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(arguments))


def check_is_used(arguments: Sequence[str]) -> None:
    """Raise `UserError` for keys of Hydra that nothing here reads."""
    if process_rank() > 0:  # Lightning starts further processes with hydra.run.dir
        return
    for argument in arguments:
        if argument.partition("=")[0].lstrip("+") == "hydra.run.dir":
            raise UserError(
                f"{argument}: has no effect here. Use outputs=<folder of all runs> or run_folder=<folder of"
                " this run>; other programs write to out=<folder>."
            )


def check_one_run(arguments: Sequence[str], typed: Sequence[str], program: str, *, sweeps: bool) -> None:
    """Raise `UserError` for several values of a key, unless this is a sweep.

    `arguments` are quoted for Hydra, `typed` are those that the user typed; `sweeps`: the program takes -m.
    """
    if is_sweep(arguments):
        return
    for argument, as_typed in zip(arguments, typed, strict=True):
        override = parse_override(argument)
        if override is None or not override.is_sweep_override():
            continue
        if sweeps:
            command = f"{command_for(program)} -m {join(typed)}"
            if THOUSANDS.fullmatch(as_typed.partition("=")[2]):
                command += f"; or, for a number: {as_typed.replace(',', '')}"
            raise UserError(f"{as_typed}: several values are a sweep. Add -m: {command}")
        key, _, value = as_typed.partition("=")
        raise UserError(
            f"{as_typed}: several values, but {program}.py takes one configuration at a time. If {key} is a"
            f" list: '{key}=[{value}]'"
        )


def path_key(schema: type, key: str) -> PathKey | None:
    """Return the marker of a dotted key that holds a path; None for another key.

    Where the class of a group depends on the choice, a key is a path if it is one for any of the choices.
    """
    if key in HYDRA_PATHS:
        return PathKey(written=True)
    name, _, below = key.partition(".")
    if below:
        nested = nested_schemas(schema).get(name)
        markers = [path_key(choice, below) for choice in choices_of(nested)] if nested else []
        return next(filter(None, markers), None)
    hint = get_type_hints(schema, include_extras=True).get(name)
    annotated = [hint, *get_args(hint)]
    extras = [extra for part in annotated for extra in getattr(part, "__metadata__", ())]
    return next((extra for extra in extras if isinstance(extra, PathKey)), None)


def _quote_argument(argument: str, schema: type, swept: bool) -> str:
    key, equals, value = argument.partition("=")
    if argument.startswith("-") or not equals:
        return argument
    key = getattr(schema, "typed_keys", {}).get(key, key)
    marker = path_key(schema, key.lstrip("+"))
    if marker is None:
        return argument if parse_override(argument) else f"{key}={_quote(value)}"
    return f"{key}={_path_value(value, marker, swept and not marker.written)}"


def _path_value(value: str, marker: PathKey, swept: bool) -> str:
    """Return the value of a key that holds paths; `swept`: commas may stand between values of a sweep."""
    override = parse_override(f"key={value}")
    several = override is not None and override.is_sweep_override()
    read = None if override is None or several else override.value()
    if override and not several and read is None:
        return value  # null
    if _exists(value):
        return value if read == value and "${" not in value else quote_value(value)
    if marker.several and value.startswith("[") and value.endswith("]"):
        strings = isinstance(read, list) and all(isinstance(item, str) for item in read)
        return value if strings else f"[{_quote_each(value[1:-1])}]"
    if swept and (several or "," in value):
        return value if several else _quote_each(value)
    return value if isinstance(read, str) else _quote(value)


def _quote_each(values: str) -> str:
    return ",".join(_path_value(value.strip(), PathKey(), False) for value in values.split(","))


def parse_override(argument: str) -> Override | None:
    """Parse an argument; None for what Hydra cannot read."""
    with suppress(HydraException):
        return OverridesParser.create().parse_override(argument)
    return None


def _quote(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def _exists(path: str) -> bool:
    with suppress(OSError, RuntimeError):  # a name that is too long, a home that is not known
        return Path(path).expanduser().exists()
    return False
