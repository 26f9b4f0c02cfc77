"""A folder to try things in, which is gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alexnet.errors import UserError


def nearest_existing(path: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


@contextmanager
def scratch_folder(outputs: Path) -> Iterator[Path]:
    """A new folder in `outputs`, which is made as a run would make it; both are left as they were.

    Raises `UserError` where a run could not make its folder.
    """
    outputs = outputs.expanduser().absolute()
    new = [folder for folder in (outputs, *outputs.parents) if not folder.exists()]
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".doctor-", dir=outputs))
    except OSError as error:
        raise UserError(
            f"outputs={outputs}: no folder can be made there ({error.strerror})."
            " Give another: outputs=<folder>."
        ) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for folder in new:
            with suppress(OSError):  # a run has begun there meanwhile
                folder.rmdir()
