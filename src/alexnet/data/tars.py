"""Lists of the files in tar archives, which are read without being extracted."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from alexnet.data.image_list import Entry
from alexnet.data.walk import is_image
from alexnet.errors import UserError
from alexnet.terminal import progress_bar

MEGABYTE = 1_000_000


def tar_members(root: Path, tars: list[Path]) -> list[Entry]:
    """List the files in uncompressed tars, and in the tars inside them, without labels.

    Their paths are <tar>/<member>; in an inner tar <tar>/<inner tar without its .tar>/<member>.
    Raises `UserError` for a file that is not a complete tar archive, and for an image that is a link in it.
    """
    entries = []
    sizes = [tar.stat().st_size // MEGABYTE for tar in tars]
    with progress_bar("Listing the tar archives, MB", sum(sizes)) as advance:
        for path, size in zip(tars, sizes, strict=True):
            name, done = path.relative_to(root).as_posix(), 0
            tar_length = len(os.fsencode(name))
            try:
                with tarfile.open(path, "r:") as tar:
                    for member, offset in _tar_files(tar):
                        entries.append(Entry(f"{name}/{member.name}", -1, member.size, 0, offset, tar_length))
                        advance(offset // MEGABYTE - done)
                        done = offset // MEGABYTE
            except (tarfile.TarError, OSError) as error:
                raise UserError(
                    f"{path}: not a complete tar archive ({error}). Download it again."
                ) from error
            advance(size - done)
    return entries


def _tar_files(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Yield each file with the offset of its first byte in the outermost tar."""
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps all of them in memory
        member.name = member.name.removeprefix("./")
        if member.isfile() and member.name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for file, offset in _tar_files(inner):
                    file.name = f"{member.name.removesuffix('.tar')}/{file.name}"
                    yield file, member.offset_data + offset
        elif member.isfile():
            yield member, member.offset_data
        elif (member.islnk() or member.issym()) and is_image(member.name):
            raise UserError(
                f"{member.name} is a link to {member.linkname} inside a tar archive, which cannot be read in"
                " place. Extract the archive."
            )
