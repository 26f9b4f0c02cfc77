"""CITATION.cff against the Citation File Format 1.2.0, and CHANGELOG.md as the notes of releases."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

import alexnet
from alexnet.command import main
from conftest import PROJECT

# schema.json of the format, version 1.2.0: the keys of a file, those that it must have, those of an author
FILE_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers"),
    *("keywords", "license", "license-url", "message", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "title", "type", "url", "version"),
}
REQUIRED = {"authors", "cff-version", "message", "title"}
PERSON_KEYS = {"family-names", "given-names", "name-particle", "name-suffix", "alias", "affiliation", "orcid"}


def check_authors(authors: list[dict[str, Any]]) -> None:
    assert authors
    for author in authors:
        is_entity = "name" in author
        assert set(author) <= ({"name", "alias", "website", "email"} if is_entity else PERSON_KEYS)
        assert author.get("name") or author.get("family-names")


def test_citation() -> None:
    content = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert set(content) >= REQUIRED
    assert set(content) <= FILE_KEYS
    assert content["cff-version"] == "1.2.0"
    assert content["type"] in ("software", "dataset")
    assert all(isinstance(content[key], str) and content[key] for key in ("message", "title", "abstract"))
    check_authors(content["authors"])
    for reference in content["references"]:
        assert set(reference) >= {"authors", "title", "type"}
        check_authors(reference["authors"])
        assert isinstance(reference["year"], int)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert content["license"] == project["license"]
    assert content["authors"][0]["name"] == project["authors"][0]["name"]


def test_the_version_stands_once(capsys: Any, monkeypatch: Any) -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert alexnet.__version__ == version
    monkeypatch.setattr("sys.argv", ["alexnet", "--version"])
    main()
    assert capsys.readouterr().out == f"AlexNet Lab {version}\n"
    written = [*(PROJECT / "src").rglob("*.py"), PROJECT / "CITATION.cff", PROJECT / "docs/conf.py"]
    assert [path for path in written if f'"{version}"' in path.read_text(encoding="utf-8")] == []


def releases(changelog: str) -> list[tuple[Version, date]]:
    """The released sections of a changelog, in its order."""
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    matches = [re.fullmatch(r"(\S+) \((\d{4}-\d\d-\d\d)\)", heading) for heading in headings[1:]]
    return [(Version(match[1]), date.fromisoformat(match[2])) for match in matches if match]


def test_the_changelog_has_the_notes_of_each_release() -> None:
    text = Path(PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = releases(text)
    assert len(found) == len(re.findall(r"^## ", text, re.MULTILINE)) - 1
    assert found == sorted(found, reverse=True)
    assert all(version <= Version(alexnet.__version__) for version, _ in found)
    example = releases("## Unreleased\n\n## 0.2.0 (2026-12-01)\n- b\n\n## 0.1.0 (2026-11-01)\n- a\n")
    assert example == [(Version("0.2.0"), date(2026, 12, 1)), (Version("0.1.0"), date(2026, 11, 1))]
