"""The README and docs/: their commands are commands of this project, their links lead somewhere."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from markdown_it import MarkdownIt
from markdown_it.token import Token
from omegaconf import DictConfig, OmegaConf

from alexnet.config import (
    BenchmarkConfig,
    ClassicalConfig,
    CompareConfig,
    EvaluateConfig,
    ExportConfig,
    InspectConfig,
    PredictConfig,
    PrepareConfig,
    TrainConfig,
)
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import group_choices, register
from alexnet.config.reading import read_config
from alexnet.config.registry import ConfigRegistry, to_node
from alexnet.sweeps.naming import sweep_folder
from conftest import PROJECT, Train, compose_config
from test_config import mistake

sys.path.insert(0, str(PROJECT / "docs/generate"))
from pages import generated
from yaml_file import read_yaml

README = PROJECT / "README.md"
PAGES = [README, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
# without the one generated from YAML, and without the examples that test_extending.py runs
WRITTEN = [page for page in PAGES if page.name not in ("configuration.md", "extending.md")]
GROUPS = "|".join(group_choices())
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
    "compare": CompareConfig,
}


def pieces_of_code(page: Path) -> list[str]:
    """The blocks of code of a page, and what is in `backticks`, with continued lines joined."""
    code = [token.content for token in tokens(page) if token.type in ("fence", "code_block", "code_inline")]
    return [piece.replace("\\\n", " ") for piece in code]


@cache
def tokens(page: Path) -> list[Token]:
    """A page as Markdown has it, inline tokens among the others."""
    parsed = MarkdownIt("commonmark").enable("table").parse(TEXTS[page])
    return [piece for token in parsed for piece in (token, *(token.children or ()))]


def commands(page: Path) -> set[tuple[str, str]]:
    """The commands of a page: program and arguments."""
    found = set()
    for piece in pieces_of_code(page):
        piece = re.sub(r"^\$ .*", "", piece, flags=re.MULTILINE)  # a mistake, shown with its message
        # of `sbatch --wrap '...'` and of lines with a comment only what is the program's
        for program, arguments in re.findall(r"(?<![\w/])src/(\w+)\.py(?= |$)([^#\n]*)", piece, re.MULTILINE):
            inner = arguments.rpartition("'")[0] if arguments.count("'") % 2 else arguments
            if "--" not in inner and "-sc" not in inner:  # --help, --cfg: Hydra's own
                found.add((program, " ".join(re.sub("<[^>]*>", "x", inner).split())))  # <run folder>
    return found


COMMANDS = sorted(set().union(*map(commands, WRITTEN)))
# what is pasted first, for every run of the tests; a composition takes a quarter of a second
GUIDES = set().union(
    *(commands(page) for page in WRITTEN if page.stem in ("README", "tutorial") or "how-to" in page.parts)
)


def first_value(argument: str) -> str:
    """One job's override: of seed=0,1,2 the first, of an interval its beginning."""
    override = OverridesParser.create().parse_override(argument)
    if override.is_interval_sweep():
        return f"{override.get_key_element()}={override.value().start}"
    if override.is_sweep_override():
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return argument


COMPARE_KEYS = {
    key: value for key, value in read_yaml(PROJECT / "conf/compare.yaml").content.items() if key != "hydra"
}
COMPARE = OmegaConf.merge(to_node(CompareConfig), COMPARE_KEYS)


def parsed(argument: str) -> dict[str, Any]:
    override = OverridesParser.create().parse_override(argument)
    return {override.get_key_element(): override.value()}


@pytest.mark.parametrize(
    ("program", "arguments"),
    [pytest.param(*command, marks=[] if command in GUIDES else pytest.mark.slow) for command in COMMANDS],
)
def test_commands_compose(program: str, arguments: str) -> None:
    quoted = quote_arguments(shlex.split(arguments), SCHEMAS[program])
    first = [first_value(argument) for argument in quoted if argument != "-m"]
    if program == "compare":  # without the groups of train.py, in which study= would be a choice
        read_config(OmegaConf.merge(COMPARE, *map(parsed, quoted)), CompareConfig)
        return
    register(program, SCHEMAS[program])
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        composed = compose(program, first)
        if arguments:  # by itself, most programs lack what they work on
            read_config(composed, SCHEMAS[program])


@pytest.mark.parametrize(
    "arguments", sorted(line for program, line in commands(PROJECT / "docs/how-to/compare.md") if line)
)
def test_comparisons_miss_nothing_but_their_runs(train: Train, arguments: str) -> None:
    done = train(*shlex.split(arguments), program="compare.py")
    assert re.search(r"there is no such folder|none of the 0 matching paths is a run folder", done.err)


def test_every_program_has_commands() -> None:
    programs = {path.stem for path in (PROJECT / "src").glob("*.py")}
    assert {program for program, arguments in COMMANDS if arguments} | {"doctor"} == programs == {*SCHEMAS}


def test_the_readme_s_sweep_is_in_the_folder_that_it_compares() -> None:
    (sweep,) = (line for program, line in commands(README) if program == "train" and "-m" in line)
    (study,) = (line for program, line in commands(README) if program == "compare" and "study=" in line)
    overrides = [argument for argument in shlex.split(sweep) if argument != "-m"]
    assert study == f"study=outputs/{sweep_folder(overrides)}"


def inline(pattern: str) -> list[str]:
    """What a pattern finds in the pages' code, without repetitions."""
    return sorted(
        {found for page in WRITTEN for code in pieces_of_code(page) for found in re.findall(pattern, code)}
    )


def test_choices_exist() -> None:
    for choice in inline(rf"(?<![\w./])((?:{GROUPS})=\w+)(?![\w/.])"):
        group, _, name = choice.partition("=")
        assert name in group_choices()[group], choice


def rows_of_settings() -> list[list[str]]:
    """All settings of the pages, in as few rows as the most frequent key has values."""
    rows: list[dict[str, str]] = []
    for setting in inline(rf"^((?:{GROUPS})\.[\w.]+=[\w.:-]+)"):
        key = setting.partition("=")[0]
        row = next((row for row in rows if key not in row), None)
        if row is None:
            rows.append(row := {})
        row[key] = setting
    return [list(row.values()) for row in rows]


@pytest.mark.parametrize("settings", rows_of_settings(), ids=lambda row: f"{len(row)} settings")
def test_settings_exist(settings: list[str]) -> None:
    compose_config("study=innovations", *settings)  # for the keys of a study


def test_what_the_guide_to_the_code_names_exists() -> None:
    """Each file of CONTRIBUTING's table, and each name in its code or configuration."""
    guide = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = guide.partition("## Where is it?")[2].partition("\n## ")[0]
    places = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")][1:]
    files = [path for folder in ("src", "conf") for path in (PROJECT / folder).rglob("*.*")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".yaml"))
    names = {name for place in places for name in re.findall(r"`((?:\w+\.)?[A-Za-z]\w+)`", place)}
    assert len(names) > 20
    missing = {name for name in names if not re.search(rf"\b{name.rpartition('.')[2]}\b", text)}
    paths = {path for place in places for path in re.findall(r"[\w/.]+\.(?:py|yaml|jinja)\b", place)}
    missing |= {path for path in paths if not any(str(file).endswith(f"/{path}") for file in files)}
    assert not missing


def test_make_targets_and_programs_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = {
        target
        for page in PAGES
        for code in pieces_of_code(page)
        for target in re.findall(r"^make ([a-z-]+)", code)
    }
    assert {"train", "test", "docs"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    files = {
        file
        for page in PAGES
        for code in pieces_of_code(page)
        for file in re.findall(r"python ((?:benchmarks|tests)/\w+\.py)", code)
    }
    for file in files:
        assert (PROJECT / file).is_file(), file


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type == "heading_open":
            text = "".join(
                piece.content for piece in token.children or () if piece.type in ("text", "code_inline")
            )
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{count}" if count else slug for slug, last in found.items() for count in range(last + 1)}


def targets(page: Path) -> list[str]:
    """The links and pictures of a page that lead to files."""
    linked = [token.attrGet("href") or token.attrGet("src") for token in tokens(page)]
    return [str(target) for target in linked if target and not re.match(r"\w+:", str(target))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_and_pictures_exist(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or file not in TEXTS or anchor in anchors(file), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        linked = ((page.parent / target.partition("#")[0]).resolve() for target in targets(page))
        ahead += [file for file in linked if file in TEXTS and file not in reached]
    assert set(PAGES) == reached


def test_the_mistake_shown_is_what_is_printed() -> None:
    shown = re.findall(r"^\$ python src/train\.py (\S+)\n(.*)$", "\n".join(TEXTS.values()), re.MULTILINE)
    assert shown
    for typed, line in shown:
        assert line == f"Error: {mistake(typed)}"


def test_generated_pages_are_up_to_date() -> None:
    for page, text in generated().items():
        assert TEXTS[page] == text, f"{page.name}: python docs/generate"


REFERENCE = PROJECT / "docs/reference/configuration.md"


def keys_of(node: DictConfig, prefix: str) -> set[str]:
    """All keys of a schema, with those that they are in."""
    found = set()
    for key in node:
        name = f"{prefix}{key}"
        value = None if OmegaConf.is_missing(node, key) else node[key]
        nested = isinstance(value, DictConfig) and OmegaConf.get_type(value) not in (None, dict)
        found |= keys_of(value, f"{name}.") if nested else {name}
    return found


def test_every_key_is_in_the_reference_and_explained() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|(?: [^\n]*? \|){3} ([^\n]*) \|$", TEXTS[REFERENCE], re.MULTILINE)
    explained = {key for key, meaning in rows if meaning.strip()}
    missing = set()
    for registry in ConfigRegistry.of_base.values():
        for name in registry.names():
            keys = keys_of(to_node(registry[name]), f"{registry.group}.")
            missing |= keys - {registry.key, f"{registry.group}.name"} - explained
    train = keys_of(to_node(TrainConfig), "")
    missing |= (
        {key for key in train if not key.startswith("claim")}
        - explained
        - {registry.group for registry in ConfigRegistry.of_base.values()}
    )
    assert not missing


def test_the_study_of_one_s_own_is_one(tmp_path: Path) -> None:
    """As docs/studies.md shows it, in the conf/ of an extension."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs/studies.md").read_text(), re.DOTALL)
    (place,) = re.findall(r"^# (conf/study/\w+\.yaml)$", shown, re.MULTILINE)
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(shown)
    (tmp_path / "mine.py").touch()
    command = [sys.executable, str(PROJECT / "src/train.py"), "extensions=[mine]", "--cfg", "job"]
    done = subprocess.run(
        [*command, f"study={Path(place).stem}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    study = yaml.safe_load(done.stdout)["study"]
    assert study["factors"] == ["no_dropout", "no_weight_decay", "data.augment.flip=false"]
    assert study["baseline"] == "baseline"
