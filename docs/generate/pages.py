"""All generated pages of docs/, and the generated parts of written ones."""

import os
from pathlib import Path

from configuration import configuration_page
from python_api import python_page
from results import fill_results

DOCS = Path(__file__).resolve().parents[1]


def generated() -> dict[Path, str]:
    """Return the text of every page that is generated, as a whole or in part."""
    pages = {
        DOCS / "reference/configuration.md": configuration_page(),
        DOCS / "reference/python.md": python_page(),
    }
    results = DOCS.parent / "results"
    for page in (DOCS.parent / "README.md", *sorted((DOCS / "explanation").glob("*.md"))):
        pages[page] = fill_results(
            page.read_text(encoding="utf-8"), results, os.path.relpath(results, page.parent)
        )
    return pages
