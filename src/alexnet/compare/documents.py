"""report.md and report.html."""

from base64 import b64encode
from dataclasses import dataclass
from html import escape

from alexnet.compare.charts import charts_of
from alexnet.compare.comparison import Comparison
from alexnet.compare.narrative import CAPTIONS, headline, method
from alexnet.compare.tables import Table, costs_table, effects_table, excluded_table, settings_table


def markdown_report(comparison: Comparison) -> str:
    """The report as Markdown; the charts are the PNG files beside it."""
    parts = [f"# {_escaped(comparison.title)}", markdown_list(headline(comparison))]
    parts += ["## Differences in error (percentage points)", markdown_table(effects_table(comparison))]
    for name in charts_of(comparison):
        title, caption = CAPTIONS[name]
        parts.append(f"### {title}\n\n![{title}]({name}.png)\n\n{caption}")
    parts += ["## Errors, epochs and cost", markdown_table(costs_table(comparison))]
    if settings := settings_table(comparison):
        parts += ["## Settings", markdown_table(settings)]
    if comparison.excluded:
        parts += ["## Runs left out", markdown_table(excluded_table(comparison.excluded))]
    parts += ["## To keep in mind", markdown_list([*comparison.notes(), *method(comparison)])]
    return "\n\n".join(parts) + "\n"


def markdown_list(sentences: list[str]) -> str:
    """A bulleted list."""
    return "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)


def markdown_table(table: Table) -> str:
    """A table as GitHub and W&B show it."""
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    text = " ".join(text.split())
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return text


STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1d2126; --soft: #5a626b; --line: #d9dde1;
  --stripe: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171a; --text: #e4e7ea; --soft: #a3abb3; --line: #353b42; --stripe: #1c2024; } }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  max-width: 22rem; }
td.number, th { white-space: nowrap; }
td.words { min-width: 18rem; }
tbody tr { background: var(--back); }
tbody tr:nth-child(even) { background: var(--stripe); }
td:first-child, th:first-child { position: sticky; left: 0; background: inherit; }
th:first-child { background: var(--back); }
@media (max-width: 40rem) {
  td:first-child { white-space: normal; min-width: 6rem; max-width: 8rem; overflow-wrap: anywhere; } }
figure { margin: 1rem 0; }
figure img { display: block; width: 100%; min-width: 40rem; max-width: 62rem; height: auto; }
figcaption { color: var(--soft); max-width: 48rem; }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


FIRST = ("history", "effects")  # the charts above the table


@dataclass(frozen=True)
class ChartImages:
    """A chart as SVG, for a light and for a dark page."""

    light: bytes
    dark: bytes


def html_report(comparison: Comparison, pictures: dict[str, ChartImages]) -> str:
    """The whole report. Everything that a run's files say is escaped."""
    body = [_html_list(headline(comparison))]
    body += [_figure(name, picture) for name, picture in pictures.items() if name in FIRST]
    body.append("<h2>Differences in error (percentage points)</h2>")
    body.append(_html_table(effects_table(comparison)))
    body += [_figure(name, picture) for name, picture in pictures.items() if name not in FIRST]
    body += ["<h2>Errors, epochs and cost</h2>", _html_table(costs_table(comparison))]
    if settings := settings_table(comparison):
        body.append("<h2>Settings</h2><details><summary>Where the models differ</summary>")
        body.append(f"{_html_table(settings)}</details>")
    if comparison.excluded:
        body += ["<h2>Runs left out</h2>", _html_table(excluded_table(comparison.excluded))]
    body += ["<h2>To keep in mind</h2>", _html_list([*comparison.notes(), *method(comparison)])]
    return PAGE.format(title=escape(comparison.title), style=STYLE, body="\n".join(body))


def _html_list(sentences: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in table.headings)
    rows = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(text: str) -> str:
    kind = "number" if len(text) < 24 else "words"  # numbers and names stay on one line
    return f'<td class="{kind}">{escape(text)}</td>'


def _figure(name: str, picture: ChartImages) -> str:
    title, caption = CAPTIONS[name]
    return (
        f'<h2>{title}</h2><figure><div class="scroll"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{_inline(picture.dark)}">'
        f'<img src="{_inline(picture.light)}" alt="{title}: {caption}">'
        f"</picture></div><figcaption>{caption}</figcaption></figure>"
    )


def _inline(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
