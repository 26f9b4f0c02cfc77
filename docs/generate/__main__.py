"""Write what docs/ has from code, configuration and results: python docs/generate."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(DOCS.parent / "src"), str(DOCS / "generate")]

from pages import generated  # noqa: E402

for page, text in generated().items():
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")
        print(f"Written: {page.relative_to(DOCS.parent)}")
