"""report.md."""

from alexnet.compare.charts import charts_of
from alexnet.compare.comparison import Comparison
from alexnet.compare.findings import CAPTIONS, headline, method
from alexnet.compare.tables import Table, costs_table, effects_table, left_out_table, settings_table


def markdown(comparison: Comparison) -> str:
    """The report as Markdown; the charts are the PNG files beside it."""
    parts = [f"# {_escaped(comparison.title)}", items(headline(comparison))]
    parts += ["## Differences in error (percentage points)", table(effects_table(comparison))]
    for name in charts_of(comparison):
        title, caption = CAPTIONS[name]
        parts.append(f"### {title}\n\n![{title}]({name}.png)\n\n{caption}")
    parts += ["## Errors, epochs and cost", table(costs_table(comparison))]
    if settings := settings_table(comparison):
        parts += ["## Settings", table(settings)]
    if comparison.left_out:
        parts += ["## Runs left out", table(left_out_table(comparison.left_out))]
    parts += ["## To keep in mind", items([*comparison.notes(), *method(comparison)])]
    return "\n\n".join(parts) + "\n"


def items(sentences: list[str]) -> str:
    """A bulleted list."""
    return "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)


def table(table: Table) -> str:
    """A table as GitHub and W&B show it."""
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    text = " ".join(text.split())
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return text
