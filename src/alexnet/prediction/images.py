"""From what was asked for to image files."""

from collections.abc import Iterable
from glob import has_magic
from pathlib import Path
from typing import Any

from alexnet.data.image import EXTENSIONS
from alexnet.errors import UserError
from alexnet.paths import absolute

LIST = ".txt"


def find_images(asked: Any) -> list[Path]:
    """The files that `images=` means, each once, in the order asked for; those of a folder by name.

    A file, a folder (with those below it), a pattern, a .txt file with one of these a line, or several.
    Raises `UserError` for what is not there, and where there is no image at all.
    """
    each = asked if isinstance(asked, list) else [asked]
    found = list(dict.fromkeys(path for one in each for path in _of(str(one))))
    if not found:
        raise UserError(
            f"images={asked}: no images there. Their names end in {', '.join(sorted(EXTENSIONS))}."
        )
    return found


def _of(asked: str, *, listed: bool = False) -> Iterable[Path]:
    path = absolute(asked)
    if path.is_dir():
        return (file for file in sorted(path.rglob("*")) if file.suffix.lower() in EXTENSIONS)
    if path.is_file():
        return _listed(path) if path.suffix.lower() == LIST and not listed else [path]
    if has_magic(asked):
        matching = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        return sorted(file for file in matching if file.is_file())
    raise UserError(f"images={asked}: there is no such file or folder.")


def _listed(path: Path) -> Iterable[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"images={path}: cannot be read as a list of files ({error}).") from error
    base = path.parent  # of what is not given from the root on
    return [file for line in lines if line.strip() for file in _of(str(base / line.strip()), listed=True)]
