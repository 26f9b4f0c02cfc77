"""report.html and report.md, rendered from the templates beside this module."""

import re
from base64 import b64encode
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from alexnet.compare.alt_text import alt_text
from alexnet.compare.cells import is_number
from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import Comparison
from alexnet.compare.narrative import CAPTIONS
from alexnet.compare.outline import outline
from alexnet.compare.tables import (
    Section,
    Table,
    excluded_table,
    model_differences_table,
    other_metrics_table,
)
from alexnet.plotting import NAME_BREAKS
from alexnet.templates import template_environment


def html_report(comparison: Comparison, images: dict[str, bytes]) -> str:
    """Render the report as one HTML file that needs no other; `images` are SVG."""
    return environment().get_template("report.html.jinja").render(_content(comparison), images=images)


def markdown_report(comparison: Comparison) -> str:
    """Render the report as Markdown; the charts are the PNG files beside it."""
    return environment().get_template("report.md.jinja").render(_content(comparison))


def markdown_list(sentences: list[str]) -> str:
    """Format sentences as a bulleted list."""
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)


def markdown_table(table: Table) -> str:
    """Format a table as GitHub and W&B show it."""
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(escape_markdown(cell) for cell in line)} |" for line in lines)


def markdown_section(section: Section) -> str:
    """Format a section: heading, sentences, table, and the command as code."""
    parts = [f"## {escape_markdown(section.heading)}", *map(escape_markdown, section.sentences)]
    parts.append(markdown_table(section.table))
    if section.command:
        parts.append(f"To add the runs:\n\n    {section.command}")
    return "\n\n".join(parts)


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown shows it on one line, as it is."""
    text = " ".join(text.split())
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return text


def breakable(text: str) -> Markup:
    """Escape text for HTML, and let its lines break where those of names may."""
    return Markup("<wbr>").join(re.split(NAME_BREAKS, text))


def joints(text: str) -> str:
    """Let the lines of an attribute break as those of `breakable` do: an attribute holds no tags."""
    return "\u200b".join(re.split(NAME_BREAKS, text))


def environment() -> Environment:
    """Return the templates' environment: HTML is escaped by itself, Markdown by the filters."""
    environment = template_environment("alexnet.compare")
    environment.filters |= {
        "markdown": escape_markdown,
        "markdown_list": markdown_list,
        "markdown_table": markdown_table,
        "breakable": breakable,
        "is_number": is_number,
        "joints": joints,
        "markdown_section": markdown_section,
        "data_uri": lambda svg: f"data:image/svg+xml;base64,{b64encode(svg).decode()}",
    }
    return environment


def _content(comparison: Comparison) -> dict[str, Any]:
    """Return what both templates show."""
    parts = outline(comparison)
    return {
        "title": comparison.title,
        "headline": parts.headline,
        "charts": {
            name: (*CAPTIONS[name], alt_text(name, comparison)) for name in applicable_charts(comparison)
        },
        "effects": parts.effects,
        "sections": parts.sections,
        "other_metrics": other_metrics_table(comparison) if comparison.other_metrics else None,
        "model_differences": model_differences_table(comparison),
        "excluded": excluded_table(comparison.excluded) if comparison.excluded else None,
        "notes": [*parts.notes, *parts.method],
    }
