"""The last line of a sweep, pasted into a shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.sweeps.runner import suggest_comparison
from conftest import PROJECT
from fabricated_runs import Job, write_sweep

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason="not installed"))
    for shell in ("bash", "zsh", "sh")
]
HOSTILE = ["a b", "it's", 'say "x"', "a,b=[c]", "$HOME", "${x}`y`!!", "*?~{1,2}", "a\\b", "é :cat: [red]x"]


def sweep_in(folder: Path) -> Path:
    jobs: list[Job] = [
        ([f"model.lrn={value}", f"seed={seed}"], {"model.lrn": value == "true"}, 20.0 + seed)
        for value in ("false", "true")
        for seed in (0, 1)
    ]
    return write_sweep(folder, ["model.lrn=false,true", "seed=0,1"], jobs)


def pasted(line: str, shell: str, path: Path) -> str:
    """What the command of a line prints, its Python being the one in `path`."""
    command = line.removeprefix("Next").strip()
    variables = os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, "-c", command], cwd=PROJECT, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_folder_s_name_survives(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # the line is longer, and stays one
    (tmp_path / "python").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "python").chmod(0o755)
    for name in HOSTILE:
        for seed in (0, 1):
            run = tmp_path / name / f"seed={seed}"
            run.mkdir(parents=True)
            (run / "result.json").write_text('{"status": "completed"}')
        suggest_comparison(tmp_path / name)
        (line,) = capsys.readouterr().out.splitlines()
        assert pasted(line, shell, tmp_path).splitlines() == ["src/compare.py", f"study={tmp_path / name}"]


@pytest.mark.slow
def test_it_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = sweep_in(tmp_path / "a, [b]='c' ${d}")
    suggest_comparison(sweep)
    out = pasted(capsys.readouterr().out, "bash", Path(sys.executable).parent)
    assert "Error, arm minus model.lrn=true" in out
    assert out.splitlines()[-1].endswith(str(sweep / "report.html"))


def test_one_run_is_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = sweep_in(tmp_path / "sweep")
    for seed in (0, 1):
        (sweep / f"model.lrn=true,seed={seed}" / "result.json").unlink()
    (sweep / "model.lrn=false,seed=1" / "result.json").write_text('{"status": "failed"}')
    suggest_comparison(sweep)
    assert capsys.readouterr().out == ""
