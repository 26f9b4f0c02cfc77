"""Text files are UTF-8, whatever the machine's language."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from alexnet.runs import environment
from conftest import PROJECT, SMALL
from fabricated_runs import write_study

# nothing is UTF-8, as where Python is told to leave such a language as it is
POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def reads_or_writes_text(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    mode = ast.unparse(call.args[0]).strip("'") if call.args else ""
    as_text = mode in ("r", "w", "a", "x", "r+", "w+") or "newline" in {key.arg for key in call.keywords}
    return call.func.attr in ("read_text", "write_text") or (call.func.attr == "open" and as_text)


def test_every_text_file_has_its_encoding_named() -> None:
    unnamed = [
        f"{path.relative_to(PROJECT)}:{call.lineno}"
        for folder in ("src", "benchmarks")
        for path in (PROJECT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and reads_or_writes_text(call)
        if "encoding" not in {key.arg for key in call.keywords}
    ]
    assert unnamed == []


def test_a_report_where_nothing_is_utf8(tmp_path: Path) -> None:
    """Of runs in whose configuration there is a name that ASCII does not have."""
    arms = {"baseline": ({}, [40.0, 41.0]), "no_lrn": ({"model.lrn": False}, [42.0, 43.5])}
    study = write_study(tmp_path / "study", arms)
    for file in study.rglob("config.yaml"):
        content = yaml.safe_load(file.read_text()) | {"run_folder": "/home/jürgen"}
        file.write_text(yaml.safe_dump(content, allow_unicode=True))
    done = subprocess.run(
        [sys.executable, str(PROJECT / "src/compare.py"), f"study={study}"],
        env=os.environ | POSIX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no_lrn" in done.stdout
    assert "|800 +- 0" in done.stdout


def test_a_diff_of_a_file_in_another_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, in what of it is UTF-8."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "text").write_bytes("für\n".encode())
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / "text").write_bytes("für".encode("latin-1") + "wahr, täglich\n".encode())
    monkeypatch.setattr(environment, "PROJECT", tmp_path)
    diff = environment.describe_environment({})["git"]["diff"]
    assert "-für\n" in diff
    assert "+f\\xfcrwahr, täglich" in diff


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_programs_print_in_any_encoding(tmp_path: Path, synthetic: tuple[str, ...], encoding: str) -> None:
    """On a narrow terminal without colours: bars and signs that it lacks have others in their place."""
    place = {"PYTHONIOENCODING": f"{encoding}:strict", "NO_COLOR": "1", "COLUMNS": "40"}

    def printed(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(PROJECT / f"src/{program}.py"), *arguments],
            env=os.environ | place,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout + done.stderr
        return done.stdout.decode(encoding)

    run = f"run_folder={tmp_path}/run"
    table = printed("train", *SMALL, *synthetic, run, "logger=csv", "trainer.max_epochs=1")
    assert re.search(r"1/1 +\d\.\d+ ", table)
    assert "Validation error: top-1" in table
    assert re.search(r"\d\d\.\d+", printed("evaluate", f"run={tmp_path}/run"))
    (image, *_) = sorted(Path(dict(pair.split("=") for pair in synthetic)["data.root"]).rglob("*.JPEG"))
    predicted = printed("predict", f"run={tmp_path}/run", f"images={image}", f"sheet={tmp_path}/sheet.png")
    assert re.search(r"\d+\.\d%", predicted)
