"""The README's commands are commands of this project."""

import re
import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from alexnet.config import (
    BenchmarkConfig,
    ClassicalConfig,
    EvaluateConfig,
    ExportConfig,
    InspectConfig,
    PredictConfig,
    PrepareConfig,
    TrainConfig,
)
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from conftest import PROJECT, Train, compose_config
from test_config import mistake

README = (PROJECT / "README.md").read_text()
GROUPS = "model|data|optimizer|scheduler|trainer|performance|logger|callbacks|experiment"
COMMANDS = re.findall(r"^python src/(\w+)\.py (?!--help)([^#\n]*)", README, re.MULTILINE)
COMPOSED = [command for command in COMMANDS if command[0] != "compare"]
SCHEMAS = {
    "train": TrainConfig,
    "doctor": TrainConfig,
    "prepare": PrepareConfig,
    "benchmark": BenchmarkConfig,
    "classical": ClassicalConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "inspect_run": InspectConfig,
    "export": ExportConfig,
}
COMPARED = [command for program, command in COMMANDS if program == "compare"]


def first_value(argument: str) -> str:
    """One job's override: of seed=0,1,2 the first, of an interval its beginning."""
    override = OverridesParser.create().parse_override(argument)
    if override.is_interval_sweep():
        return f"{override.get_key_element()}={override.value().start}"
    if override.is_sweep_override():
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return argument


@pytest.mark.parametrize(("program", "command"), COMPOSED)
def test_commands_compose(program: str, command: str) -> None:
    quoted = quote_arguments(shlex.split(command), SCHEMAS[program])
    first = [first_value(argument) for argument in quoted if argument != "-m"]
    register(program, SCHEMAS[program])
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        read_config(compose(program, first), SCHEMAS[program])


@pytest.mark.parametrize("command", COMPARED)
def test_comparisons_miss_nothing_but_their_runs(train: Train, command: str) -> None:
    done = train(*shlex.split(command), program="compare.py")
    assert re.search(r"there is no such folder|there is no run's folder among the 0 that match", done.err)


def test_every_program_has_commands() -> None:
    programs = {path.stem for path in (PROJECT / "src").glob("*.py")}
    assert {program for program, _ in COMMANDS} == programs == {*SCHEMAS, "compare"}


@pytest.mark.parametrize("choice", sorted(set(re.findall(rf"`((?:{GROUPS})=\w+)`", README))))
def test_choices_exist(choice: str) -> None:
    compose_config(choice, "data.root=.")


@pytest.mark.parametrize("setting", sorted(set(re.findall(rf"`((?:{GROUPS})\.[\w.]+=[\w.]+)", README))))
def test_settings_exist(setting: str) -> None:
    compose_config(setting)


def test_make_targets_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_the_mistake_shown_is_what_is_printed() -> None:
    (typed, line), *_ = re.findall(r"^\$ python src/train\.py (\S+)\n(.*)$", README, re.MULTILINE)
    assert line == f"Error: {mistake(typed)}"
