"""A comparison on a terminal of eighty columns."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from alexnet.compare.comparison import compare
from alexnet.compare.display import print_comparison
from alexnet.config import CompareConfig
from fabricated_runs import write_study

NAMES = [
    "no_lrn",
    "non_overlapping_pooling",
    "model.normalization=batch_norm",
    "optimizer.lr=0.001,model.lrn=false",
]


def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> list[str]:
    arms = {name: ({}, [20.0 + n, 21.0 + 1.4 * n, 20.2 + n]) for n, name in enumerate(["baseline", *NAMES])}
    arms |= {"equal": ({}, [21.0, 22.0, 21.2])}
    study = write_study(tmp_path / "study", arms)
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=terminal, color_system=None, highlight=False, soft_wrap=True
    )
    monkeypatch.setattr("alexnet.terminal.console", console)
    monkeypatch.setattr("alexnet.compare.display.console", console)
    print_comparison(compare(CompareConfig(str(study), None, None, None, 25.0, 0.95, [])), study)
    return file.getvalue().splitlines()


def test_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are whole and in the row of their arm; the lines of names end at _, = and commas."""
    lines = shown(tmp_path, monkeypatch, terminal=True)
    assert lines[0] == "study on Imagenette, 10 epochs"
    tables = lines[1 : next(index for index, line in enumerate(lines) if line.startswith("Measured on"))]
    assert max(map(len, tables)) <= 80
    assert not any("…" in line for line in tables)
    starts = [line for line in tables if "+0.00 " in line or " to " in line]
    assert len(starts) >= len(NAMES)
    names = [line[:22].strip() for line in tables]
    for part in ("no_lrn", "non_overlapping_", "pooling", "optimizer.lr=0.001,", "model.lrn=false"):
        assert part in names, (part, names)


def test_without_a_terminal_no_line_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(tmp_path, monkeypatch, terminal=False)
    lines = capsys.readouterr().out.splitlines()
    assert all(sum(name in line for line in lines) >= 2 for name in NAMES)
