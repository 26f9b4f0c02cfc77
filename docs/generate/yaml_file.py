"""A file of conf/: its keys, their values as written, and its comments."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Key(NamedTuple):
    """A key of a YAML file, with its value as written there and the comment on it, empty if there is none."""

    name: str  # with the keys that it is in: augment.crop
    value: str
    comment: str


class YamlFile:
    """A file of conf/, read with its comments.

    `content` are its keys without the defaults list; `bases` the choices and schemas of the same group that
    it is built on; `overrides` the choices that it makes in other groups, as they would be typed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = path.read_text(encoding="utf-8")
        self._lines = self._text.splitlines()
        self.content: dict[str, Any] = yaml.load(self._text, Loader=yaml.CSafeLoader) or {}
        self._root = yaml.compose(self._text, Loader=yaml.CSafeLoader)
        defaults = self.content.pop("defaults", [])
        self.bases = [base for base in defaults if isinstance(base, str) and base != "_self_"]
        made = [item for entry in defaults if isinstance(entry, dict) for item in entry.items()]
        self.overrides = [
            f"{group.removeprefix('override /')}={choice}" for group, choice in made if "override /" in group
        ]

    @property
    def package(self) -> str | None:
        """The group whose keys it has, "" for those of the whole configuration; None: its own group."""
        named = re.match(r"# @package (\w+)", self._lines[0])
        return None if named is None else named[1].replace("_global_", "")

    @property
    def description(self) -> str:
        """The comment at its top."""
        comment = [line[1:].strip() for line in self._leading_comment() if not line.startswith("# @package")]
        return " ".join(comment)

    def entries(self, *left_out: str) -> list[Key]:
        """Return its keys, without those `left_out` at its top level."""
        if not isinstance(self._root, yaml.MappingNode):
            return []  # comments alone
        return list(self._walk(self._root, "", {"defaults", *left_out}))

    def _leading_comment(self) -> Iterator[str]:
        for line in self._lines:
            if not line.startswith("#"):
                return
            yield line

    def _walk(self, mapping: yaml.MappingNode, prefix: str, left_out: set[str]) -> Iterator[Key]:
        for name, value in mapping.value:
            if name.value in left_out:
                continue
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                yield from self._walk(value, f"{prefix}{name.value}.", set())
            else:
                yield Key(f"{prefix}{name.value}", self._written(value), self._comment(name, value))

    def _written(self, value: yaml.Node) -> str:
        return self._text[value.start_mark.index : value.end_mark.index].strip()

    def _comment(self, name: yaml.Node, value: yaml.Node) -> str:
        """Return the comment behind a value, or else the lines of comment above its key."""
        behind = "".join(self._lines[value.end_mark.line : value.end_mark.line + 1])[
            value.end_mark.column :
        ].strip()
        if behind.startswith("#"):
            return behind[1:].strip()
        above: list[str] = []
        line = name.start_mark.line - 1
        first = len(list(self._leading_comment()))  # the description is not of the key below it
        while line >= first and self._lines[line].strip().startswith("#"):
            above.insert(0, self._lines[line].strip()[1:].strip())
            line -= 1
        return " ".join(above)


@cache
def read_yaml(path: Path) -> YamlFile:
    """Read a file of conf/, once."""
    return YamlFile(path)
