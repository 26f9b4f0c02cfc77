"""Arguments as they are typed: paths with any characters, lists of paths, several values."""

import os
import random
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

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
from alexnet.config.arguments import (
    check_is_used,
    check_one_run,
    path_key,
    quote_arguments,
    quote_value,
    tidy,
)
from alexnet.errors import UserError
from conftest import PROJECT, Train, compose_config

# of each program; those of train.py are benchmark.py's and doctor.py's as well
DATA = ("data.root", "data.cache", "data.pack")
PATH_KEYS: dict[type, tuple[str, ...]] = {
    TrainConfig: (
        "outputs",
        "run_folder",
        "resume",
        "model.pretrained",
        "study.reuse",
        "study.pilot.reuse",
        *DATA,
    ),
    BenchmarkConfig: ("outputs", "run_folder", "resume", "model.pretrained", *DATA),
    PrepareConfig: DATA,
    EvaluateConfig: ("run", "checkpoint", "weights", "data_root", "out", "outputs", "cache", *DATA),
    PredictConfig: ("run", "checkpoint", "images", "output", "sheet"),
    InspectConfig: ("run", "checkpoint", "data_root", "out"),
    ExportConfig: ("run", "checkpoint", "out"),
    CompareConfig: ("study", "runs", "results", "add", "baseline", "out"),
    ClassicalConfig: ("outputs", "run_folder", "study_folder", *DATA),
}
HOSTILE = [
    "/x/a,b",
    "a,b.jpg",
    "a b",
    "it's",
    'say "hi"',
    "a=b",
    "a,b/*",
    "[x,y]/z",
    "(a)",
    "{a}",
    "/x/é#;&!",
]
HOSTILE += [
    "C:\\my data",
    "~/x,y",
    "0x1,2",
    "1_000",
    "007",
    "true",
    "1e3",
    "range(0,3)",
    "a, b",
    "a\nb",
    "$a,$b",
]


def read(argument: str) -> Any:
    """The value that a configuration has after Hydra has read an argument."""
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override(), argument
    return OmegaConf.create({"key": override.value()}).key


def quoted(argument: str, schema: type = TrainConfig, *others: str) -> str:
    return quote_arguments([argument, *others], schema)[0]


@pytest.mark.parametrize(
    ("schema", "key"), [(schema, key) for schema in PATH_KEYS for key in PATH_KEYS[schema]]
)
def test_every_path_key_takes_every_character(schema: type, key: str) -> None:
    for value in HOSTILE:
        assert read(quoted(f"{key}={value}", schema)) == value


def test_no_path_key_is_forgotten() -> None:
    words = {
        "root",
        "folder",
        "cache",
        "pack",
        "out",
        "outputs",
        "output",
        "run",
        "runs",
        "checkpoint",
        "sheet",
    }
    for schema, keys in PATH_KEYS.items():
        names = {field.name for field in fields(schema)}
        marked = {name for name in names if path_key(schema, name)}
        assert marked == {key for key in keys if "." not in key}
        assert words & names <= marked
    for key in ("seed", "data", "data.name", "model", "model.name", "logger.name", "nothing", "data.nothing"):
        assert path_key(TrainConfig, key) is None


def test_random_characters() -> None:
    """A path that does not exist is read as it is typed, but for quotes and escapes of Hydra's."""
    draw = random.Random(0)
    for _ in range(300):
        value = "".join(draw.choices("ab01,=[](){}'\" :;#*?!&%@|~^é$-+/.", k=draw.randrange(1, 9))).strip()
        if not value or (value[0] in "'\"" and value[-1] == value[0]) or "${" in value:
            continue
        assert read(quoted(f"data.root={value}")) == value


def test_a_key_that_is_a_group_elsewhere_is_translated() -> None:
    assert quoted("study=/x/a,b", ClassicalConfig) == "study_folder='/x/a,b'"
    assert quoted("study=/x/a,b", TrainConfig) == "study=/x/a,b"


def test_what_hydra_reads_by_itself_is_left_to_it() -> None:
    for argument in (
        "data.root='/a b'",
        "data.root=/a\\,b",
        "out=null",
        "outputs=${oc.env:HOME}/x",
        "resume=auto",
    ):
        assert quoted(argument) == argument
    assert read(quoted("outputs=${oc.env:HOME}/x,y")).endswith("/x,y")
    assert read(quoted("hydra.sweep.dir=${oc.env:HOME}/a,b")).endswith("/a,b")
    for argument in (
        "--cfg",
        "-m",
        "model.lrn=true",
        "model.filters=[1,2]",
        "~claim",
        "seed=0,1",
        "seed=range(0,3)",
    ):
        assert quoted(argument) == argument


@pytest.mark.parametrize(
    "name",
    ["a${b}", "\\${b}", "'q'", '"q"', "[x,y]", "a\\ b", "a\\'b", "\\", " a", "x=y,z=[1]", "a'b\"c"],
)
def test_a_path_that_exists_is_taken_as_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for key in ("run", "data.root", "out"):
        assert read(quoted(f"{key}={name}", EvaluateConfig)) == name
    assert read(quoted(f"out={tmp_path / name}", EvaluateConfig)) == str(tmp_path / name)
    assert read(f"key={quote_value(name)}") == name


@pytest.mark.parametrize(
    ("typed", "paths"),
    [
        ("[x,y]", ["x", "y"]),
        ("[x y, z]", ["x y", "z"]),
        ("[a=1,b=2]", ["a=1", "b=2"]),
        ("['a,b','c d']", ["a,b", "c d"]),
        ("[1_0,2]", ["1_0", "2"]),
        ("[it's,x(1)]", ["it's", "x(1)"]),
        ("[]", []),
        ("[x]", ["x"]),
    ],
)
def test_a_list_where_a_key_takes_one(typed: str, paths: list[str]) -> None:
    for key in ("run", "checkpoint"):
        assert read(quoted(f"{key}={typed}", EvaluateConfig)) == paths
    assert read(quoted(f"images={typed}", PredictConfig)) == paths
    assert read(quoted(f"run={typed}", PredictConfig)) == typed  # a single path


def swept(argument: str) -> list[str]:
    """The values that the jobs of a sweep read, each from its own command line."""
    (typed, _) = quote_arguments([argument, "-m"], TrainConfig)
    parsed = OverridesParser.create().parse_overrides([typed])
    jobs = BasicSweeper.split_arguments(parsed, None)[0]
    return [read(quote_arguments(job, TrainConfig)[0]) for job in jobs]


def test_commas_in_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand between values, unless the path is there or is one that the program writes to."""
    monkeypatch.chdir(tmp_path)
    assert swept("data.root=/a,/b") == ["/a", "/b"]
    assert swept("data.root=/a b,/c=d,/it's") == ["/a b", "/c=d", "/it's"]
    assert swept("data.root=/a b,/c") == ["/a b", "/c"]
    assert swept("data.root='/a,b','/c'") == ["/a,b", "/c"]
    assert swept("data.root=/a b") == ["/a b"]
    assert swept("outputs=/a,b") == ["/a,b"]
    (tmp_path / "a,b").mkdir()
    assert swept("data.root=a,b") == ["a,b"]
    assert swept(f"data.root={tmp_path}/a,b") == [f"{tmp_path}/a,b"]


@pytest.mark.parametrize(
    ("argument", "sweeps", "expected"),
    [
        (
            "seed=0,1",
            True,
            "seed=0,1: several values are a sweep. Add -m: python src/train.py -m 'data.root=/a b'",
        ),
        ("seed=range(0,3)", True, "several values are a sweep. Add -m: python src/train.py -m"),
        ("study=a,b", True, "study=a,b: several values are a sweep. Add -m"),
        (
            "crops=center,ten",
            False,
            "train.py takes one configuration at a time. If crops is a list: 'crops=[center",
        ),
    ],
)
def test_several_values_without_a_sweep(argument: str, sweeps: bool, expected: str) -> None:
    typed = ["data.root=/a b", argument]
    with pytest.raises(UserError) as refusal:
        check_one_run(quote_arguments(typed, TrainConfig), typed, "train", sweeps=sweeps)
    assert expected in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    check_one_run([*typed, "-m"], [*typed, "-m"], "train", sweeps=sweeps)
    check_one_run(["data.root='/a,b'"], ["data.root=/a,b"], "train", sweeps=sweeps)


@pytest.mark.parametrize("rank", [None, "0"])
def test_where_runs_are_placed_is_no_key_of_hydra(monkeypatch: pytest.MonkeyPatch, rank: str | None) -> None:
    """Lightning starts further processes, and only these, with hydra.run.dir."""
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(UserError, match=r"^hydra\.run\.dir=x: has no effect here"):
        check_is_used(["hydra.run.dir=x"])
    monkeypatch.setenv("LOCAL_RANK", "1")
    check_is_used(["hydra.run.dir=x"])


def test_composed(tmp_path: Path) -> None:
    """Where the group decides which class has the key."""
    folder = tmp_path / "a,b [${x}]"
    folder.mkdir()
    config = compose_config(
        "data=folder", *quote_arguments([f"data.root={folder}", "model.pretrained=p,q"], TrainConfig)
    )
    assert (config.data.root, config.model.pretrained) == (str(folder), "p,q")


def test_as_a_user_types_them(train: Train) -> None:
    """Programs find the path that was meant, or say so."""
    for program, arguments, expected in (
        ("train.py", ("data=folder", "data.root=/x/a,b"), "data.root=/x/a,b: there is no such folder"),
        (
            "train.py",
            ("seed=0,1",),
            "seed=0,1: several values are a sweep. Add -m: python src/train.py -m seed=0,1",
        ),
        ("predict.py", ("run=[a,b]", "images=a,b.jpg"), "images=a,b.jpg: there is no such file or folder"),
        ("compare.py", ("runs=a,b/*",), "runs=a,b/*: none of the 0 matching paths is a run folder"),
        ("compare.py", ("study=a,b=[c] 'd' ${e}",), "Interpolation key 'e' not found"),
        ("compare.py", ("-m", "study=a,b"), "compare.py takes one configuration at a time"),
    ):
        refused = train(*arguments, program=program)
        assert refused.status == 1
        assert expected in refused.err
        assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("model=alexnet_p", {"model=alexnet_paper"}),
        ("model.lrn_k", {"model.lrn_k="}),
        ("scheduler=", {f"scheduler={name}" for name in ("constant", "cosine", "plateau", "step")}),
        ("data=_", set()),
        ("model=", {f"model={path.stem}" for path in (PROJECT / "conf/model").glob("[!_]*.yaml")}),
        ("model.activation=", {"model.activation=relu"}),
        ("model.pooling=", {"model.pooling=overlapping"}),
        ("model.filters=", set()),
    ],
)
def test_tab_completion(train: Train, typed: str, offered: set[str]) -> None:
    """What bash asks for when the tab key is pressed."""
    line = {"COMP_LINE": f"python src/train.py {typed}"}
    told = train("-sc", "query=bash", environment=line)
    assert (told.status, told.err) == (0, "")
    assert set(told.out.split()) == offered


@pytest.mark.skipif(not shutil.which("bash"), reason="not installed")
def test_the_tab_key_in_bash() -> None:
    """The documented line, then what bash calls, which does it without a terminal."""
    install = 'eval "$(python src/train.py -sc install=bash)"'
    assert install in (PROJECT / "docs/reference/programs.md").read_text()
    press = 'COMP_LINE="python src/train.py model=alexnet" COMP_POINT=${#COMP_LINE} COMP_CWORD=2'
    script = [install, press, "hydra_bash_completion", 'printf "%s\n" "${COMPREPLY[@]}"']
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=PROJECT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    offered = (PROJECT / "conf/model").glob("alexnet*.yaml")
    assert sorted(done.stdout.split()) == sorted(f"model={path.stem}" for path in offered)


def test_options_stand_anywhere(train: Train) -> None:
    """Hydra's parser takes one unbroken row of overrides."""
    typed = ["a=1", "-m", "~b", "--cfg", "job", "c=2"]
    assert tidy(typed) == ["-m", "--cfg", "job", "a=1", "~b", "c=2"]
    assert tidy(["--a.b=1\r", "--cfg=job", "--config-name=x"]) == ["--cfg=job", "--config-name=x", "a.b=1"]
    done = train("--model.lrn=false", "--cfg", "job", "seed=3\r")
    assert done.status == 0
    assert "seed: 3" in done.out
