"""Damage of image files that decode all the same, such as flipped bits.

PNG files hold checksums, which Pillow does not compare for the pixels. In JPEG files the decoder notices some
kinds of damage, and prints a line to the standard error of the process, without the name of the file. The
other formats have nothing to tell damage by.
"""

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.io import ImageReadMode, decode_jpeg

from alexnet.data.image import ImageError, decodes_at_full_size
from alexnet.data.image_list import ImageList
from alexnet.data.orientation import read_jpeg_header

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# the warnings of libjpeg (jerror.h) that mean damaged data
JPEG_DAMAGE = re.compile(rb"(Corrupt JPEG data|Premature end of JPEG|Inconsistent progression).*")
MOST_PIXELS = 100_000_000  # larger JPEG files are not decoded a second time, for their warnings alone


class DamageDetector:
    """Decodes images and notes which of their files are damaged; any number of threads may use it.

    Within its context the standard error of the process goes to a file, and what is not about damage is
    written to where it belongs at the end. `damaged` maps rows to reasons. `suspects` are rows whose decoding
    came with a warning, of this file or of one that another thread was decoding: `confirm` tells.
    """

    def __init__(self, damaged: dict[int, str] | None = None, suspects: Iterable[int] = ()) -> None:
        self.damaged = dict(damaged or {})
        self.suspects = list(suspects)

    def __enter__(self) -> "DamageDetector":
        _flush()
        self._messages = TemporaryFile()
        self._stderr: int | None = None
        with suppress(OSError):  # a process without standard error gets no warnings
            self._stderr = os.dup(2)
            os.dup2(self._messages.fileno(), 2)
        return self

    def __exit__(self, *_: Any) -> None:
        _flush()
        if self._stderr is not None:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
        if others := JPEG_DAMAGE.sub(b"", self._since(0)).strip():
            os.write(2, others + b"\n")
        self._messages.close()

    def decode(self, images: ImageList, row: int, size: int) -> NDArray[np.uint8]:
        """Read and decode an image: (3, size, size) RGB. Raises `ImageError` if that fails."""
        reasons: list[str] = []

        def inspect(data: bytes) -> None:
            if reason := png_damage(data):
                reasons.append(reason)
            _provoke_warnings(data, size)

        before = self._written()
        image = images.decode(row, size, inspect)
        if reasons:
            self.damaged[row] = reasons[0]
        elif self._written() != before:
            self.suspects.append(row)
        return image

    def confirm(self, images: ImageList, size: int) -> None:
        """Decode the suspects one by one: those that come with a warning are damaged."""
        suspects, self.suspects = sorted(set(self.suspects)), []
        for row in suspects:
            before = self._written()
            with suppress(ImageError):  # it was readable a moment ago
                self.decode(images, row, size)
            if message := JPEG_DAMAGE.search(self._since(before)):
                self.damaged[row] = message[0].decode(errors="replace")
        self.suspects = []

    def _written(self) -> int:
        return os.fstat(self._messages.fileno()).st_size

    def _since(self, start: int) -> bytes:
        return os.pread(self._messages.fileno(), self._written() - start, start)


def png_damage(data: bytes) -> str | None:
    """Compare the checksums of a PNG file's chunks (PNG specification, 5.3); None if all are right."""
    if not data.startswith(PNG_SIGNATURE):
        return None
    view, start = memoryview(data), len(PNG_SIGNATURE)
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(view[start : start + 4])
        if end + 4 <= len(data) and crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4]):
            kind = bytes(view[start + 4 : start + 8]).decode("latin-1")
            return f"the checksum of its {kind} chunk is wrong"
        start = end + 4
    return None


def _provoke_warnings(data: bytes, size: int) -> None:
    """Decode a JPEG file that Pillow will decode, which keeps warnings to itself."""
    header = read_jpeg_header(data)
    if header is None or decodes_at_full_size(header, size) or header.pixels > MOST_PIXELS:
        return
    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    with suppress(RuntimeError):  # Pillow may decode it still
        decode_jpeg(encoded, ImageReadMode.GRAY if header.components < 4 else ImageReadMode.UNCHANGED)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
