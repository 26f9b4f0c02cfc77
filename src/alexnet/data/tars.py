"""Where the images lie inside tar archives, so that they are read without being extracted."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from alexnet.data.image_list import Entry
from alexnet.errors import UserError
from alexnet.progress import progress_bar

MEGABYTE = 1_000_000


def tar_members(root: Path, tars: list[Path]) -> list[Entry]:
    """The files in uncompressed tars, and in the tars in them, without labels.

    Each is named <tar>/<member>, those of an inner tar <tar>/<inner tar less its .tar>/<member>.
    Raises `UserError` for a tar that is cut off, or none.
    """
    entries = []
    sizes = [tar.stat().st_size // MEGABYTE for tar in tars]
    with progress_bar("Looking through the tars, MB", sum(sizes)) as advance:
        for path, size in zip(tars, sizes, strict=True):
            name, seen = path.relative_to(root).as_posix(), 0
            tar_length = len(os.fsencode(name))
            try:
                with tarfile.open(path, "r:") as tar:
                    for member, offset in _members(tar):
                        entries.append(Entry(f"{name}/{member.name}", -1, member.size, 0, offset, tar_length))
                        advance(offset // MEGABYTE - seen)
                        seen = offset // MEGABYTE
            except (tarfile.TarError, OSError) as error:
                raise UserError(f"{path}: not a whole tar archive ({error}). Fetch it again.") from error
            advance(size - seen)
    return entries


def _members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Each file, and where in the outermost tar its bytes begin."""
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all
        member.name = member.name.removeprefix("./")
        if member.isfile() and member.name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for inside, offset in _members(inner):
                    inside.name = f"{member.name.removesuffix('.tar')}/{inside.name}"
                    yield inside, member.offset_data + offset
        elif member.isfile():
            yield member, member.offset_data
