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


@pytest.mark.parametrize(
    ("speed", "text"), [(0.04567, "0.0457"), (17.8, "17.8"), (99.96, "100"), (620.4, "620"), (1173, "1,173")]
)
def test_speeds_are_written_out(speed: float, text: str) -> None:
    """Python's .3g writes 1.17e+03."""
    assert terminal.format_speed(speed) == text
