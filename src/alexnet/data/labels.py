"""Names of classes: in printable form, and matched whatever their Unicode form and case."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence


def printable(name: str) -> str:
    """Return the name of a file or folder without the bytes that are not UTF-8, which cannot be printed."""
    return os.fsencode(name).decode(errors="backslashreplace")


def list_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, printable, and how many more there are: cat, dog, emu and 7 more."""
    shown = ", ".join(map(printable, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS writes accents as characters of their own."""
    return unicodedata.normalize("NFC", printable(name))


def matching_key(name: str) -> str:
    """Return what names have in common that differ in Unicode form or case only."""
    return unicodedata.normalize("NFC", composed(name).casefold())


class ClassMatcher:
    """Finds names among those of the classes: the same, or the only one in another Unicode form or case."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._exact = {name: label for label, name in enumerate(classes)}
        self._loose: list[dict[str, list[int]]] = [defaultdict(list), defaultdict(list)]
        for label, name in enumerate(classes):
            self._loose[0][composed(name)].append(label)
            self._loose[1][matching_key(name)].append(label)

    def label(self, name: str) -> int | None:
        """Return the label of a name; None where no class, or more than one, is meant."""
        if (label := self._exact.get(printable(name))) is not None:
            return label
        for labels in (self._loose[0].get(composed(name), []), self._loose[1].get(matching_key(name), [])):
            if labels:
                return labels[0] if len(labels) == 1 else None
        return None
