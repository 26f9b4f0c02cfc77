"""Walk through the folders of a data set: what is an image, what is set aside, what its list depends on."""

import os
import stat
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from alexnet.data.image import EXTENSIONS
from alexnet.data.image_list import NOT_AN_IMAGE, Entry
from alexnet.errors import UserError

# folders that file systems, archives and tools leave behind; and any whose name begins with a dot
SYSTEM_FOLDERS = frozenset(
    {
        *("__macosx", "__pycache__", "lost+found", "$recycle.bin", "system volume information"),
        *("recycler", "network trash folder", "temporary items", "thevolumesettingsfolder"),
        *("@eadir", "@tmp", "#recycle", "#snapshot", "~snapshot", "@recycle", "@recently-snapshot"),  # NAS
    }
)
HIDDEN = "hidden or system folder"
LOOP = "a link to a folder that contains it"
SPECIAL = "not a regular file"

SetAside = MutableMapping[str, str]  # path relative to the root -> reason
Identity = tuple[int, int]  # device and number of a folder


def is_hidden(name: str) -> bool:
    """Return whether a folder is hidden or of the system by its name: it holds no images, and is no class."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


def is_image(path: str) -> bool:
    """Return whether a file name is that of an image; hidden files are not images."""
    name = os.path.basename(path)  # noqa: PTH119 - a Path for each of a million files is slow
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122


@dataclass
class Walk:
    """A walk through the folders under `root` that records the modification times of all that it reads.

    Links are followed. `notes` are sentences for the user about what was found, and `val_source` says where
    the validation images come from; `held_out` is whether they are a part of the training images.
    """

    root: Path
    mtimes: dict[str, int] = field(default_factory=dict)  # path relative to the root -> ns
    notes: list[str] = field(default_factory=list)
    val_source: str = ""
    held_out: bool = False

    def subfolders(self, folder: Path, aside: SetAside | None = None) -> list[str]:
        """Return the names of the folders in a folder, sorted, without hidden ones.

        `aside` receives those left out. Raises `UserError` for a link to nothing, as it may have been one.
        """
        above = self._enter(folder, _identities(folder))
        names = []
        for entry in self._entries(folder):
            if self._is_folder(entry) and not self._left_out(entry, above, aside):
                names.append(entry.name)
        return sorted(names)

    def files(
        self, folder: Path, label: int = -1, *, deep: bool = True, aside: SetAside | None = None
    ) -> Iterator[Entry]:
        """Yield the files in a folder and, where `deep`, below it, without hidden folders.

        `aside` receives those left out, and what is no regular file. Raises `UserError` for a link to nothing
        that is not named like an image: it may have been a folder.
        """
        yield from self._files(folder, label, deep, aside, _identities(folder))

    def has_images(self, folder: Path) -> bool:
        """Return whether there are images in a folder itself."""
        return any(is_image(file.path) for file in self.files(folder, deep=False))

    def record(self, path: Path) -> os.stat_result:
        """Record the modification time of a folder, or of a file that the list depends on."""
        status = path.stat()
        self.mtimes[os.path.relpath(path, self.root)] = status.st_mtime_ns
        return status

    def relative(self, path: str | Path) -> str:
        """Return a path below the root, relative to it."""
        return os.path.relpath(path, self.root)

    def _files(
        self, folder: Path, label: int, deep: bool, aside: SetAside | None, above: frozenset[Identity]
    ) -> Iterator[Entry]:
        above = self._enter(folder, above)
        relative = folder.relative_to(self.root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        for entry in self._entries(folder):
            if self._is_folder(entry):
                if deep and not self._left_out(entry, above, aside):
                    yield from self._files(Path(entry.path), label, deep, aside, above)
                continue
            try:
                status = entry.stat()
            except OSError:  # a link to nothing, which is reported when it is read
                yield Entry(prefix + entry.name, label, 0, 0)
                continue
            if stat.S_ISREG(status.st_mode):
                yield Entry(prefix + entry.name, label, status.st_size, status.st_mtime_ns)
            elif aside is not None:
                aside[prefix + entry.name] = SPECIAL

    def _enter(self, folder: Path, above: frozenset[Identity]) -> frozenset[Identity]:
        status = self.record(folder)
        return above | {(status.st_dev, status.st_ino)}

    def _entries(self, folder: Path) -> Iterator["os.DirEntry[str]"]:
        try:
            with os.scandir(folder) as entries:
                yield from entries
        except OSError as error:
            raise UserError(f"{folder}: cannot be read ({error.strerror}).") from error

    def _is_folder(self, entry: "os.DirEntry[str]") -> bool:
        """Return whether an entry is a folder, or a link to one."""
        try:
            if entry.is_dir():
                return True
            if not entry.is_symlink() or is_image(entry.name) or is_hidden(entry.name):
                return False
            entry.stat()
        except OSError as error:
            raise UserError(
                f"{entry.path}: a link to {Path(entry.path).readlink()}, which does not exist. Restore it, or"
                " remove the link."
            ) from error
        return False

    def _left_out(
        self, entry: "os.DirEntry[str]", above: frozenset[Identity], aside: SetAside | None
    ) -> bool:
        reason = HIDDEN if is_hidden(entry.name) else None
        if reason is None:
            status = entry.stat()
            reason = LOOP if (status.st_dev, status.st_ino) in above else None
        if reason is not None and aside is not None:
            aside[self.relative(entry.path)] = reason
        return reason is not None


def _identities(folder: Path) -> frozenset[Identity]:
    """Return the identities of the folders that contain a folder."""
    statuses = [parent.stat() for parent in folder.parents]
    return frozenset((status.st_dev, status.st_ino) for status in statuses)


def set_aside_others(files: Iterable[Entry], aside: SetAside) -> Iterator[Entry]:
    """Yield the images among the files; `aside` receives the others."""
    for file in files:
        if is_image(file.path):
            yield file
        else:
            aside[file.path] = NOT_AN_IMAGE
