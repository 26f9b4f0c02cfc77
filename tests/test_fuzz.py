"""Commands that nobody would type: each is composed, or refused in one line."""

import random
import sys
from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import train
from alexnet.config.composition import group_choices
from conftest import PROJECT

VALUES = [
    *("", "null", "true", "flase", "0", "-1", "1.5", "1e400", "nan", "inf", "1,000", "1,2", "0x10", "007"),
    *(
        "a",
        "a b",
        "it's",
        '"',
        "'",
        "[",
        "]",
        "[]",
        "{}",
        "{a:1}",
        "[1,2]",
        "[a,[b]]",
        "a=b",
        "é",
        "\U0001f389",
    ),
    *(
        "${seed}",
        "${nothing}",
        "${oc.env:NOT_SET}",
        "$",
        "${",
        "\\",
        "???",
        "_base",
        "../x",
        "/",
        "~",
        "*",
        "%",
    ),
    *("range(1,3)", "glob(*)", "choice(1,2)", "interval(0,1)", "tag(a,1)", "int(1)", "x" * 300, "\r", "a\tb"),
]
PREFIXES = ["", "", "", "", "", "+", "++", "~", "--", "-", " ", "@"]


def keys_of(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, node):
        yield f"{prefix}{key}"
        if isinstance(below := node._get_node(key), DictConfig) and not below._is_none():
            yield from keys_of(below, f"{prefix}{key}.")


@pytest.fixture(scope="module")
def keys() -> list[str]:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        known = list(keys_of(compose("train", ["study=depth"])))
    wrong = [f"{key}x" for key in known[::7]] + [key.rpartition(".")[2] for key in known[::5]]
    hydra = ["hydra.sweep.dir", "hydra.launcher", "hydra/launcher", "hydra.job.name", "hydra.nothing"]
    return [*known, *group_choices(), *wrong, *hydra]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_a_valid_configuration_or_one_line(
    part: int, keys: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(part)
    groups = group_choices()
    for _ in range(200):
        typed = []
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            key = draw.choice(keys)
            values = [*VALUES, *groups.get(key, [])]
            typed.append(f"{draw.choice(PREFIXES)}{key}={draw.choice(values)}")
        monkeypatch.setattr(sys, "argv", ["src/train.py", "--cfg", "job", *typed])
        try:
            train.main()
        except SystemExit as ended:
            assert ended.code, typed
            line = str(ended.code)
            assert line.startswith("Error: "), (typed, line)
            assert len(line.splitlines()) == 1, (typed, line)
            assert "\x1b" not in line
        else:
            assert capsys.readouterr().out, typed
