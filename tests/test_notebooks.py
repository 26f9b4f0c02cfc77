"""The notebooks: run from the first cell to the last, and committed as they ran."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from conftest import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 600_000
PATHS = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|var|private|opt|mnt)/|[A-Z]:\\\\")  # of a machine


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def texts(notebook: dict[str, Any]) -> list[str]:
    """All that is read in a notebook: cells, and outputs but for images."""
    found = [source(cell) for cell in notebook["cells"]]
    for output in outputs(notebook):
        found.append("".join(output.get("text", [])))
        found += ["".join(data) for kind, data in output.get("data", {}).items() if kind.startswith("text/")]
    return found


def check_committed(notebook: dict[str, Any]) -> None:
    """Fail unless all cells ran, in order, without an error, and nothing names this machine."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [output["output_type"] for output in outputs(notebook)]
    assert "error" not in kinds
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) >= 2
    assert [text for text in texts(notebook) if PATHS.search(text)] == []


def test_there_are_two() -> None:
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["alexnet_in_twenty_minutes", "from_sweep_to_finding"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_as_it_ran(path: Path) -> None:
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"] >= 5) == (4, True)
    assert path.stat().st_size < MAX_BYTES
    assert source(notebook["cells"][0]).startswith("# ")
    check_committed(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    cells = [source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "markdown"]
    tokens = [piece for cell in cells for token in MarkdownIt().parse(cell) for piece in token.children or ()]
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert links
    for link in links:
        assert link.startswith("http") or (path.parent / link.partition("#")[0]).exists(), link


def test_what_is_not_committed() -> None:
    """Each thing that the check looks for, in a notebook that has it."""
    right = read(NOTEBOOKS[0])
    check_committed(right)
    for spoil in (_error, _path, _skipped):
        wrong = copy.deepcopy(right)
        spoil(wrong)
        with pytest.raises(AssertionError):
            check_committed(wrong)


def _error(notebook: dict[str, Any]) -> None:
    outputs(notebook)[0]["output_type"] = "error"


def _path(notebook: dict[str, Any]) -> None:
    notebook["cells"][0]["source"] = ["see /home/me/outputs"]


def _skipped(notebook: dict[str, Any]) -> None:
    next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")["execution_count"] = None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path) -> None:
    """From the first cell to the last, with as many pictures as are committed."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs(notebook))
    where = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=where).execute()
    check_committed(notebook)
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) == pictures
