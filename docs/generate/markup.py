"""Pieces of Markdown, as GitHub and MyST read it."""

import re
from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    """Escape what Markdown would read as markup in a comment, outside of `code`."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [re.sub(r"([<|*]|(?<!\w)_)", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def code(value: str) -> str:
    """Return the value of a key as code, for a cell of a table."""
    value = re.sub(r"\s+", " ", value).replace("|", "\\|")
    return {"???": "must be given", "": "`''`"}.get(value, f"`{value}`")
