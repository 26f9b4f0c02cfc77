"""A year of use: hundreds of runs and studies, of which no more is read than is needed."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from alexnet.compare.run_pattern import read_runs
from alexnet.config.hashing import config_hash
from alexnet.errors import UserError
from alexnet.files import parse_yaml
from alexnet.runs.resume import previous_run, read_run_config
from alexnet.studies.folder import find_study
from conftest import PROJECT, Train
from fabricated_runs import FACTORS, full_factorial, write_factorial, write_run

RUNS, STUDIES = 300, 50


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The names of the text files that are read, and how often."""
    counted: Counter[str] = Counter()
    read_text = Path.read_text

    def counting(path: Path, *arguments: Any, **options: Any) -> str:
        counted[path.name] += 1
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", counting)
    return counted


def write_runs(folder: Path, name: str, status: str = "completed") -> None:
    """Write as many runs; all but the first are copies with other seeds."""
    first = write_run(folder / name.format(0), 20.0, status=status)
    config = (first / "config.yaml").read_text()
    for number in range(1, RUNS):
        shutil.copytree(first, copy := folder / name.format(number))
        (copy / "config.yaml").write_text(config.replace("seed: 0", f"seed: {number % 100}"))


def asking(outputs: Path, seed: int = 0) -> dict[str, Any]:
    """The configuration of the fabricated runs, of which an unfinished one is asked for."""
    config = read_run_config(next(iter((outputs / "runs").iterdir())))
    return config | {"seed": seed, "resume": "auto", "run_folder": None, "outputs": str(outputs)}


def test_the_run_to_resume(tmp_path: Path, reads: Counter[str]) -> None:
    """Of as many runs of the same configuration only the unfinished one's config.yaml is read."""
    write_run(tmp_path / "runs/first", 20.0, status="interrupted")
    config = asking(tmp_path)
    name = f"2026-01-01_00-00-00_{config_hash(config)}"
    (tmp_path / "runs/first").rename(tmp_path / "runs" / name)
    write_runs(tmp_path / "runs", f"2026-02-02_00-00-00_{config_hash(config)}-{{}}")
    reads.clear()
    assert previous_run(config) == tmp_path / "runs" / name
    assert reads == {"config.yaml": 1, "result.json": RUNS + 1}


def test_no_run_to_resume(tmp_path: Path, reads: Counter[str]) -> None:
    """Runs of other configurations are told by their names."""
    write_runs(tmp_path / "runs", "2026-02-02_00-00-00_{:08x}", status="interrupted")
    config = asking(tmp_path, seed=5)
    reads.clear()
    assert previous_run(config) is None
    assert not reads


def test_a_pattern_of_runs(tmp_path: Path, reads: Counter[str]) -> None:
    """Each file of a run is read once."""
    write_runs(tmp_path / "runs", "with-{}")
    for number in range(3):
        settings = FACTORS["no_lrn"]
        write_run(tmp_path / f"runs/without-{number}", 22.0, seed=number, settings=settings)
    reads.clear()
    arms = read_runs(str(tmp_path / "runs/*"), "model.lrn=true")
    assert {name: len(runs) for name, runs in arms.arms.items()} == {"baseline": 100, "model.lrn=false": 3}
    assert len(arms.excluded) == RUNS - 100
    assert reads == dict.fromkeys(("config.yaml", "result.json", "environment.json"), RUNS + 3)


def test_a_list_of_studies(tmp_path: Path, reads: Counter[str]) -> None:
    """They are told by their folders: no file is read."""
    factors = ["no_lrn"]
    for number in range(STUDIES):
        folder = tmp_path / f"study{number}/default"
        write_factorial(folder, full_factorial(factors), {"baseline": [20.0], "no_lrn": [21.0]}, factors)
    reads.clear()
    with pytest.raises(UserError) as refused:
        find_study(tmp_path, "compare")
    first, *lines = str(refused.value).splitlines()
    assert first.endswith(f"contains {STUDIES} studies. Choose one:")
    assert len(lines) == STUDIES
    assert not reads


def test_a_comparison_says_what_it_read(train: Train, tmp_path: Path) -> None:
    """Of many runs that do not count only the first are named, and the report that names all."""
    for number in range(12):
        write_run(tmp_path / f"runs/failed-{number}", 0.0, status="failed", error="Bang")
    for number in range(2):
        write_run(tmp_path / f"runs/with-{number}", 20.0 + number, seed=number)
        write_run(tmp_path / f"runs/without-{number}", 22.5, seed=number, settings=FACTORS["no_lrn"])
    done = train("runs=runs/*", "baseline=model.lrn=true", f"out={tmp_path / 'out'}", program="compare.py")
    assert done.status == 0, done.err
    assert "Runs      4 compared, 12 left out" in done.out
    assert done.out.count(": failed: Bang") == 10
    assert f"Left out  all 12: {tmp_path / 'out/report.md'}" in done.out
    assert (tmp_path / "out/report.md").read_text().count("failed: Bang") == 12


@pytest.mark.slow  # a benchmark, which no run depends on
def test_the_benchmark_has_a_line_for_each_command() -> None:
    program = [sys.executable, str(PROJECT / "benchmarks/year_of_use.py")]
    options = ["--rounds=1", "--runs=6", "--studies=2"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    first, _, *lines = done.stdout.splitlines()
    assert first.startswith("6 runs and 2 studies of 6 runs, ")
    spread = r" +[\d.]+ \([\d.]+-[\d.]+\)"
    names = [re.sub(rf"({spread}){{2}}$", "", line) for line in lines]
    assert names == [
        "import alexnet.cli",
        "train.py",
        "train.py resume=auto",
        "compare.py study=outputs/studies",
        "compare.py study=<one of them>",
        "compare.py runs='outputs/runs/*'",
    ]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without libyaml")
def test_yaml_is_read_by_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a tenth of the time, which is most of the time of reading hundreds of runs."""
    loaders, load = [], yaml.load

    def recording(text: str, loader: type) -> Any:
        loaders.append(loader)
        return load(text, loader)

    monkeypatch.setattr(yaml, "load", recording)
    assert parse_yaml("a: [1, x]") == {"a": [1, "x"]}
    assert loaders == [yaml.CSafeLoader]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: &a [1]\nb: *a\n"])
def test_yaml_that_no_run_writes(text: str) -> None:
    """Brackets that deep would overflow libyaml's stack, and end the process."""
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
