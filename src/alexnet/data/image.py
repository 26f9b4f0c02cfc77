"""Decode the bytes of an image file into the square of pixels that training keeps (paper §2)."""

from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.io import ImageReadMode, decode_jpeg

from alexnet.errors import lacks_memory

EXTENSIONS = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".gif", ".tif", ".tiff"})

# a JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves this many times the wanted size to resize from
SCALED_DECODING = 2


class ImageError(Exception):
    """An image that does not decode; the message is the reason."""


def decode_square(data: bytes, size: int) -> NDArray[np.uint8]:
    """The centre square of an image, resized to `size`, as (3, size, size) RGB.

    The same as making the shorter side `size` and cutting out the centre, but for what the
    outermost pixels take from beyond the cut. Upright by its EXIF tag; grey, CMYK, 16-bit and palette
    images become RGB. Raises `ImageError` for whatever cannot be read to its end.
    """
    if not data:
        raise ImageError("empty file")
    try:
        pixels = _decode(data, size)
        height, width = pixels.shape[1:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[:, top : top + side, left : left + side]
        if side != size:
            square = interpolate(square[None], (size, size), mode="bilinear", antialias=True)[0]
        return square.numpy()
    except Exception as error:  # decoders raise many types for a broken file
        if lacks_memory(error):
            raise  # the file is not to blame
        raise ImageError(str(error).split(" '")[0].split(" <")[0] or type(error).__name__) from error


def encode_jpeg(square: NDArray[np.uint8], quality: int) -> bytes:
    """A (3, size, size) square as a JPEG file."""
    file = BytesIO()
    Image.fromarray(square.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _decode(data: bytes, size: int) -> Tensor:
    """All pixels, (3, height, width) uint8; of a large JPEG on a coarser grid."""
    header = _jpeg_header(data)
    if header is not None:
        *shape, components = header
        if components in (1, 3) and min(shape) < 2 * SCALED_DECODING * size:
            try:  # a third faster than Pillow, and other threads go on meanwhile
                encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
                return decode_jpeg(encoded, ImageReadMode.RGB, apply_exif_orientation=True)
            except RuntimeError:
                pass  # Pillow says what is wrong with it
    with Image.open(BytesIO(data)) as image:
        image.draft(None, (SCALED_DECODING * size, SCALED_DECODING * size))
        image.load()
        return torch.from_numpy(np.array(_as_rgb(_upright(image)))).permute(2, 0, 1)


def _jpeg_header(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and colour components of a JPEG file, by its frame header (ITU T.81, B.2.2)."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return height, width, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block does not make the pixels wrong
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to white instead of scaling them
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
