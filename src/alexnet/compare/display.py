"""A comparison on the terminal."""

import re
from pathlib import Path
from shlex import quote

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable

from alexnet.compare.comparison import Comparison
from alexnet.compare.outline import outline
from alexnet.compare.tables import Table
from alexnet.config import CompareConfig
from alexnet.terminal import WIDE, console, print_table

# headings of columns whose cells break where a table is too wide: names behind these characters
NAMES = ("arm", "factor", "interaction")
BREAKS = re.compile(r"(?<=[_=+:, ])")
SHORTEST_NAME = 16  # characters; before names are shorter than that, verdicts break between words


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """Print the tables, the runs that do not count, the notes, and where the report is."""
    parts = outline(comparison)
    for section in parts.terminal:
        for sentence in section.sentences:
            console.print(sentence, markup=False)
        _print_table(section.table, section.heading)
        if section.command:
            console.print(f"Add runs  {section.command}", markup=False)
    console.print(f"Measured on {comparison.split}; claims are of top-1 error.", markup=False)
    for run in comparison.excluded:
        console.print(f"Left out  {run.name}: {run.reason}", markup=False, style="yellow")
    for note in parts.notes:
        console.print(f"Note      {note}", markup=False)
    console.print(f"Report    {folder / 'report.html'}", markup=False)


def print_address(address: str, waiting: int, config: CompareConfig) -> None:
    """Print where the W&B report is, and the command for the `waiting` runs that are not in W&B yet."""
    console.print(f"W&B       {address}", markup=False)
    if waiting:
        runs = config.runs or f"{quote(str(config.study))}/*/*"
        console.print(
            f"Note      {waiting} of the runs are not in W&B yet; its charts need them. To upload:"
            f" wandb sync {runs}/wandb/offline-run-*",
            markup=False,
        )


def _print_table(table: Table, title: str) -> None:
    rich_table = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    rich_table.padding, rich_table.pad_edge = (0, 1, 0, 0), False
    for heading in table.headings:
        rich_table.add_column(heading.replace(" ", "\n"), no_wrap=not _is_verdict(heading), overflow="fold")
    width = _name_width(table, console.width if console.is_terminal else WIDE)
    for row in table.rows:
        cells = zip(table.headings, row, strict=True)
        broken = [break_name(cell, width) if heading in NAMES else cell for heading, cell in cells]
        rich_table.add_row(*map(escape, broken))
    print_table(rich_table)


def _is_verdict(heading: str) -> bool:
    return heading.endswith(" is")


def _name_width(table: Table, width: int) -> int:
    """Return how many characters are left for a name beside all other cells and two spaces a column."""
    left = {"whole": width - 2 * len(table.headings), "broken": width - 2 * len(table.headings)}
    for column, heading in enumerate(table.headings):
        if heading not in NAMES:
            cells = [*heading.split(), *(row[column] for row in table.rows)]
            left["whole"] -= max(map(len, cells))
            left["broken"] -= max(len(word) for cell in cells for word in (cell.split() or [""]))
    return left["whole"] if left["whole"] >= SHORTEST_NAME else max(left["broken"], SHORTEST_NAME // 2)


def break_name(name: str, width: int) -> str:
    """Break a name into lines of at most `width` characters, behind one of _ = + : , and spaces.

    A part that is longer is cut.
    """
    lines = [""]
    for part in BREAKS.split(name):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    pieces = [line.rstrip()[start : start + width] for line in lines for start in range(0, len(line), width)]
    return "\n".join(pieces)
