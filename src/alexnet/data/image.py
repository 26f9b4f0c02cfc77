"""Decode one image file into the square of pixels that training keeps (paper §2)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

EXTENSIONS = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".gif", ".tif", ".tiff"})


class ImageError(Exception):
    """A file that does not decode; the message is the reason."""


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """The centre square of an image, resized to `size`, as (3, size, size) RGB.

    The same as making the shorter side `size` and cutting out the centre, without the work on
    what is cut off. Upright by its EXIF tag; grey, CMYK, 16-bit and palette images become RGB.
    Raises `ImageError` for whatever cannot be read to its end.
    """
    try:
        with Image.open(path) as image:
            image.load()
            picture = _as_rgb(_upright(image))
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        square = picture.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    except Exception as error:  # decoders raise many types for a broken file
        raise ImageError(_reason(error)) from error
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def why_unreadable(path: Path, size: int) -> str:
    """The reason why a file did not decode, by trying once more."""
    try:
        read_image(path, size)
    except ImageError as error:
        return str(error)
    return "could not be read at one time"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block does not make the pixels wrong
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to white instead of scaling them
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split(" '")[0].split(" <")[0] or type(error).__name__
