"""What is printed, and by which rank."""

import os
import subprocess
import sys

import pytest
from rich.table import Table

from alexnet import terminal
from conftest import PROJECT


def test_a_quiet_console_prints_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table("layer")
    table.add_row("conv1")
    terminal.print_table(table)
    assert "conv1" in capsys.readouterr().out
    monkeypatch.setattr(terminal.console, "quiet", True)
    terminal.print_table(table)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("variables", "quiet"),
    [
        ({}, False),
        ({"LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, True),
        ({"SLURM_PROCID": "1", "SLURM_LOCALID": "1"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, True),  # the first process of the second node
    ],
)
def test_only_the_first_process_prints(variables: dict[str, str], quiet: bool) -> None:
    code = "from alexnet.terminal import console; print(console.quiet)"
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")} | variables
    shown = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert shown.strip() == str(quiet)


@pytest.mark.parametrize(
    ("speed", "text"), [(0.04567, "0.0457"), (17.8, "17.8"), (99.96, "100"), (620.4, "620"), (1173, "1,173")]
)
def test_speeds_are_written_out(speed: float, text: str) -> None:
    """Python's .3g writes 1.17e+03."""
    assert terminal.format_speed(speed) == text
