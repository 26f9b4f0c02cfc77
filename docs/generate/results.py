"""Tables of our results in the pages on innovations, from results/README.md, which compare.py writes."""

import re
from pathlib import Path

# | [name](link) | data | arm | runs | measured | interval | paper | verdict |
ROW = re.compile(r"^\| \[(?P<name>[^]]+)\]\((?P<link>[^)]+)\) \|(?P<cells>(?:[^|]+\|){7})$", re.MULTILINE)
PART = re.compile(r"<!-- results: ([\w ]+) -->\n.*?<!-- end -->", re.DOTALL)
NONE = "No study of this is in [results](../../results/README.md) yet."
HEAD = ("| result | data | arm | runs | measured | interval | paper | verdict |", "|" + "---|" * 8)


def fill_results(page: str, results: Path) -> str:
    """Return a page with the rows of results/README.md for the arms that its comments name."""
    rows: dict[str, list[str]] = {}
    for row in ROW.finditer((results / "README.md").read_text(encoding="utf-8")):
        arm = row["cells"].split("|")[1].strip().replace("\\", "")
        rows.setdefault(arm, []).append(f"| [{row['name']}](../../results/{row['link']}) |{row['cells']}")

    def fill(part: re.Match[str]) -> str:
        found = [row for arm in part[1].split() for row in rows.get(arm, [])]
        text = "\n".join([*HEAD, *found]) if found else NONE
        return f"<!-- results: {part[1]} -->\n\n{text}\n\n<!-- end -->"

    return PART.sub(fill, page)
