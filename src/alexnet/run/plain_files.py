"""CSV and JSON files of plain data, whole or not there."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.run.whole_file import written_whole


def write_text(path: Path, text: str) -> None:
    """Write a text file; a file name in it that is no UTF-8 stays as it is."""
    with written_whole(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file. What is no finite number becomes null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file with the columns of the first row. Without rows there is none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    columns = list(rows[0])
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({column: _shown(row.get(column)) for column in columns} for row in rows)
    write_text(path, text.getvalue())


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
