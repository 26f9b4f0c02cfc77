"""What is printed, and by which rank."""

import pytest
from rich.table import Table

from alexnet import terminal


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
