"""A comparison on the terminal."""

from pathlib import Path
from shlex import quote

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable

from alexnet.compare.comparison import Comparison
from alexnet.compare.notes import notes
from alexnet.compare.tables import Table, costs_table, short_effects_table
from alexnet.config import CompareConfig
from alexnet.studies.folder import is_study
from alexnet.terminal import console, print_table


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """Print the tables, the runs that do not count, the notes, and where the report is."""
    differences = f"Error, arm minus {comparison.baseline.name} (percentage points)"
    _print_table(short_effects_table(comparison), differences)
    _print_table(costs_table(comparison), "Errors, epochs and cost")
    console.print(f"Measured on {comparison.split}; claims are of top-1 error.", markup=False)
    for run in comparison.excluded:
        console.print(f"Left out  {run.name}: {run.reason}", markup=False, style="yellow")
    for note in notes(comparison):
        console.print(f"Note      {note}", markup=False)
    console.print(f"Report    {folder / 'report.html'}", markup=False)


def print_address(address: str, waiting: int, config: CompareConfig) -> None:
    """Print where the W&B report is, and the command for the `waiting` runs that are not in W&B yet."""
    console.print(f"W&B       {address}", markup=False)
    if waiting:
        levels = "*/*" if config.study and is_study(Path(config.study)) else "*"
        runs = config.runs or f"{quote(str(config.study))}/{levels}"
        console.print(
            f"Note      {waiting} of the runs are not in W&B yet; its charts need them. To upload:"
            f" wandb sync {runs}/wandb/offline-run-*",
            markup=False,
        )


def _print_table(table: Table, title: str) -> None:
    rich_table = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    rich_table.padding, rich_table.pad_edge = (0, 1, 0, 0), False
    for heading in table.headings:
        words = heading in ("arm", "top-1 is")  # only these give way in a narrow terminal
        rich_table.add_column(heading.replace(" ", "\n"), no_wrap=not words, overflow="fold")
    for row in table.rows:
        rich_table.add_row(*map(escape, row))
    print_table(rich_table)
