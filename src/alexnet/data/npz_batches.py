"""Batches of ImageNet32 and ImageNet64 (Chrabaszcz et al., 1707.08819, section 2): pixels in .npz files."""

import math
import shlex
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from alexnet.data.samples import ArchiveContent, ArchiveForm, Sample
from alexnet.errors import UserError

DATA, LABELS = "data.npy", "labels.npy"
LOCAL_HEADER = 30  # bytes of a zip archive's local header before name and extra field (APPNOTE.TXT, 4.3.7)


def is_batch(path: Path) -> bool:
    """Return whether an .npz file holds images and labels."""
    try:
        with zipfile.ZipFile(path) as file:
            return {DATA, LABELS} <= set(file.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def read_batch(path: Path) -> ArchiveContent:
    """List the images of a batch: rows of `data`, planes of red, green and blue; `labels` are from 1.

    Raises `UserError` for a damaged file, other shapes, and compressed pixels, which cannot be read in place.
    """
    try:
        with zipfile.ZipFile(path) as file, np.load(path, allow_pickle=False) as arrays:
            labels = arrays["labels"]
            start, shape, dtype, columns_first = _array_in(path, file.getinfo(DATA))
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a complete batch ({error}). Download it again.") from error
    pixels = math.prod(shape[1:])
    side = math.isqrt(pixels // 3)
    if dtype != np.uint8 or columns_first or 3 * side**2 != pixels or len(shape) not in (2, 4):
        raise UserError(f"{path}: data is {dtype} {shape}, not bytes of (images, 3 * side * side).")
    if len(shape) == 4 and shape[1] != 3:
        raise UserError(f"{path}: data is {shape}: its colours are not the first axis of an image.")
    if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: labels are {labels.dtype} {labels.shape} for {shape[0]} images.")
    numbers = labels.tolist()
    return ArchiveContent(
        [Sample(None, number, start + row * pixels, pixels) for row, number in enumerate(numbers)]
    )


def _array_in(path: Path, member: zipfile.ZipInfo) -> tuple[int, tuple[int, ...], np.dtype, bool]:
    """Return where the values of an uncompressed array begin, shape, dtype, and whether columns are first."""
    if member.compress_type != zipfile.ZIP_STORED:
        code = "import sys, numpy as n; [n.savez(p, **n.load(p)) for p in sys.argv[1:]]"
        raise UserError(
            f"{path}: its pixels are compressed and cannot be read in place. Store all batches uncompressed:"
            f' python -c "{code}" {shlex.quote(str(path.parent))}/*.npz'
        )
    with path.open("rb") as file:
        file.seek(member.header_offset + LOCAL_HEADER - 4)
        lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]  # of name and extra field
        file.seek(sum(lengths), 1)
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, columns_first, dtype = read(file)
        return file.tell(), shape, dtype, columns_first


NPZ_BATCHES = ArchiveForm("npz batches", ".npz", is_batch, read_batch)
