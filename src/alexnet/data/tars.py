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


def tar_members(root: Path, tars: list[Path]) -> Iterator[Entry]:
    """Yield the files in uncompressed tars, and in the tars inside them, without labels.

    Their paths are <tar>/<member>; in an inner tar <tar>/<inner tar without its .tar>/<member>.
    Raises `UserError` for a file that is not a complete tar archive, and for an image that is a link in it.
    """
    statuses = [tar.stat() for tar in tars]
    sizes = [status.st_size // MEGABYTE for status in statuses]
    with progress_bar("Listing the tar archives, MB", sum(sizes)) as advance:
        for path, size, status in zip(tars, sizes, statuses, strict=True):
            name, done = path.relative_to(root).as_posix(), 0
            place = status.st_mtime_ns, len(os.fsencode(name))
            try:
                with tarfile.open(path, "r:") as tar:
                    for member, offset in tar_files(tar):
                        yield Entry(f"{name}/{member.name}", -1, member.size, place[0], offset, place[1])
                        advance(offset // MEGABYTE - done)
                        done = offset // MEGABYTE
            except (tarfile.TarError, OSError) as error:
                raise tar_error(path, error) from error
            advance(size - done)


def tar_error(path: Path, error: Exception) -> UserError:
    """Return the error for a tar that cannot be read."""
    return UserError(f"{path}: not a complete tar archive ({error}). Download it again.")


def tar_files(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Yield each file with the offset of its first byte in the outermost tar."""
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps all of them in memory
        member.name = member.name.removeprefix("./")
        if member.isfile() and member.name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for file, offset in tar_files(inner):
                    file.name = f"{member.name.removesuffix('.tar')}/{file.name}"
                    yield file, member.offset_data + offset
        elif member.isfile():
            yield member, member.offset_data
        elif (member.islnk() or member.issym()) and is_image(member.name):
            raise UserError(
                f"{member.name} is a link to {member.linkname} inside a tar archive, which cannot be read in"
                " place. Extract the archive."
            )
