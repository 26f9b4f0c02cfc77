"""Tables of our results in written pages, from results/README.md, which compare.py writes."""

import re
from pathlib import Path

# | [name](link) | data | arm | runs | measured | interval | paper | verdict |
ROW = re.compile(r"^\| \[(?P<name>[^]]+)\]\((?P<link>[^)]+)\) \|(?P<cells>(?:[^|]+\|){7})$", re.MULTILINE)
PART = re.compile(r"<!-- results: ([\w/ ]+) -->\n.*?<!-- end -->", re.DOTALL)
HEAD = ("| result | data | arm | runs | measured | interval | paper | verdict |", "|" + "---|" * 8)


def fill_results(page: str, results: Path, link: str) -> str:
    """Return a page with the rows of results/README.md for what its comments name, in their order.

    A comment names arms, each of any result (`no_lrn`) or of one (`innovations/no_lrn`). `link` is the path
    of results/ from the page.
    """
    rows: dict[str, list[str]] = {}
    for row in ROW.finditer((results / "README.md").read_text(encoding="utf-8")):
        arm = row["cells"].split("|")[1].strip().replace("\\", "")
        text = f"| [{row['name']}]({link}/{row['link']}) |{row['cells']}"
        for name in (arm, f"{Path(row['link']).parent}/{arm}"):
            rows.setdefault(name, []).append(text)

    def fill(part: re.Match[str]) -> str:
        found = [row for name in part[1].split() for row in rows.get(name, [])]
        text = (
            "\n".join([*HEAD, *found])
            if found
            else f"No study of this is in [results]({link}/README.md) yet."
        )
        return f"<!-- results: {part[1]} -->\n\n{text}\n\n<!-- end -->"

    return PART.sub(fill, page)
