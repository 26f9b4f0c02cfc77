"""A comparison on the terminal."""

from pathlib import Path
from shlex import quote

from rich import box
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table as RichTable

from alexnet.compare.cells import is_number
from alexnet.compare.comparison import Comparison
from alexnet.compare.outline import outline
from alexnet.compare.tables import Table
from alexnet.compare.wandb_report import Published
from alexnet.config import CompareConfig
from alexnet.plotting import break_name
from alexnet.studies.folder import is_study
from alexnet.terminal import console, print_table

ENOUGH = 12  # characters for names; below that, other columns are made narrower
EDGES = 2  # characters, at the left and behind the names
LISTED = 10  # runs that are left out and named
UNLIMITED = 1000  # characters: in a file or pipe no name is broken


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """Print the title, the tables, the runs that do not count, the notes, and where the report is."""
    console.print(comparison.title, markup=False, style="bold")
    parts = outline(comparison)
    for section in parts.terminal:
        console.print(section.heading, markup=False, style="bold")
        for sentence in section.sentences:
            console.print(sentence, markup=False)
        _print_table(section.table)
        if section.command:
            console.print(f"Add runs  {section.command}", markup=False)
    console.print(f"Measured on {comparison.split}; claims are of top-1 error.", markup=False)
    _print_runs(comparison, folder)
    for note in parts.notes:
        console.print(f"Note      {note}", markup=False)
    console.print(f"Report    {folder / 'report.html'}", markup=False)


def _print_runs(comparison: Comparison, folder: Path) -> None:
    """Print how many runs count, and which do not: of many of these only the first."""
    excluded, compared = comparison.excluded, sum(len(arm.runs) for arm in comparison.all_variants)
    console.print(f"Runs      {compared} compared, {len(excluded)} left out", markup=False)
    for run in excluded[:LISTED]:
        console.print(f"Left out  {run.name}: {run.reason}", markup=False, style="yellow")
    if len(excluded) > LISTED:
        console.print(f"Left out  all {len(excluded)}: {folder / 'report.md'}", markup=False, style="yellow")


def print_run(address: str) -> None:
    """Print where the comparison's W&B run is."""
    console.print(f"W&B run   {address}", markup=False)


def print_address(published: Published, config: CompareConfig) -> None:
    """Print where report and saved view are, and the command for the runs that are not in W&B yet."""
    console.print(f"W&B       {published.report}", markup=False)
    console.print(f"W&B view  {published.view}", markup=False)
    waiting = published.waiting
    if waiting:
        levels = "*/*" if config.study and is_study(Path(config.study)) else "*"
        runs = config.runs or f"{quote(str(config.study))}/{levels}"
        console.print(
            f"Note      {waiting} of the runs are not in W&B yet, and its charts need them. To upload:"
            f" wandb sync {runs}/wandb/offline-run-*",
            markup=False,
        )


def _print_table(table: Table) -> None:
    """Print a table; where a terminal has no room for it, names and then other words are broken."""
    rich_table = RichTable(box=box.SIMPLE_HEAD)
    rich_table.padding, rich_table.pad_edge = (0, 1, 0, 0), False
    names, *others = zip(*table.rows, strict=True)
    fixed = [True, *(all(map(is_number, cells)) for cells in others)]
    for heading, no_wrap in zip(table.headings, fixed, strict=True):
        rich_table.add_column(heading.replace(" ", "\n"), no_wrap=no_wrap, overflow="fold")
    room = _room_for_names(table.headings[1:], others) if console.is_terminal else UNLIMITED
    for name, *cells in zip(names, *others, strict=True):
        rich_table.add_row(escape("\n".join(break_name(name, room))), *map(escape, cells))
    print_table(rich_table)


def _room_for_names(headings: list[str], columns: list[tuple[str, ...]]) -> int:
    """Return how many characters of a terminal's width these columns leave to the names before them.

    That is little only where they do not leave more even with a word on each line.
    """
    room = 0
    for whole in (True, False):
        pieces = [
            [*heading.split(), *(cells if whole or all(map(is_number, cells)) else " ".join(cells).split())]
            for heading, cells in zip(headings, columns, strict=True)
        ]
        taken = sum(2 + max(map(cell_len, column)) for column in pieces)  # and the space behind
        room = console.width - EDGES - taken
        if room >= ENOUGH:
            break
    return max(room, ENOUGH)
