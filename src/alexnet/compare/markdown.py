"""report.md."""

from alexnet.compare.comparison import Comparison
from alexnet.compare.findings import CAPTIONS, headline, method
from alexnet.compare.tables import Table, costs_table, effects_table, left_out_table


def markdown(comparison: Comparison) -> str:
    """The report as Markdown; the charts are the PNG files beside it."""
    parts = [f"# {_escaped(comparison.title)}", *_items(headline(comparison))]
    parts += ["## Differences in error (percentage points)", _table(effects_table(comparison))]
    for name, (title, caption) in CAPTIONS.items():
        parts.append(f"### {title}\n\n![{title}]({name}.png)\n\n{caption}")
    parts += ["## Errors, epochs and cost", _table(costs_table(comparison))]
    if comparison.left_out:
        parts += ["## Runs left out", _table(left_out_table(comparison.left_out))]
    parts += ["## To keep in mind", *_items([*comparison.notes(), *method(comparison)])]
    return "\n\n".join(parts) + "\n"


def _items(sentences: list[str]) -> list[str]:
    return ["\n".join(f"- {_escaped(sentence)}" for sentence in sentences)]


def _table(table: Table) -> str:
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    text = " ".join(text.split())
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return text
