"""Decode image files to RGB arrays of one size, as the paper does (§2)."""

from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.io import ImageReadMode, decode_jpeg

from alexnet.errors import lacks_memory

UNREADABLE = -1  # label of an image that does not decode: excluded from the loss and the errors

EXTENSIONS = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".gif", ".tif", ".tiff"})

# a JPEG is decoded at 1/2, 1/4 or 1/8 if at least this many times the requested size is left for resizing
SCALED_DECODING = 2


class ImageError(Exception):
    """Raised for an image that does not decode; the message is the reason."""


def decode_image(data: bytes, size: int) -> NDArray[np.uint8]:
    """Decode the centre square of an image, resized to `size`: (3, size, size) RGB.

    This equals resizing the shorter side to `size` and cropping the centre, except that the outermost pixels
    do not use those beyond the crop. The image is rotated according to its EXIF tag; grey, CMYK, 16-bit and
    palette images become RGB. Raises `ImageError` for data that does not decode completely.
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
    except Exception as error:  # decoders raise many types for a damaged file
        if lacks_memory(error):
            raise  # the file is not to blame
        raise ImageError(str(error).split(" '")[0].split(" <")[0] or type(error).__name__) from error


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encode an RGB image (3, height, width) as a JPEG file."""
    file = BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _decode(data: bytes, size: int) -> Tensor:
    """Decode all pixels, (3, height, width) uint8; those of a large JPEG at a reduced resolution."""
    header = _jpeg_header(data)
    if header is not None:
        *shape, components = header
        if components in (1, 3) and min(shape) < 2 * SCALED_DECODING * size:
            try:  # a third faster than Pillow, and releases the interpreter lock
                encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
                return decode_jpeg(encoded, ImageReadMode.RGB, apply_exif_orientation=True)
            except RuntimeError:
                pass  # Pillow reports a better reason
    with Image.open(BytesIO(data)) as image:
        image.draft(None, (SCALED_DECODING * size, SCALED_DECODING * size))
        image.load()
        return torch.from_numpy(np.array(_as_rgb(_upright(image)))).permute(2, 0, 1)


def _jpeg_header(data: bytes) -> tuple[int, int, int] | None:
    """Read height, width and colour components from the frame header of a JPEG file (ITU T.81, B.2.2)."""
    if not data.startswith(b"\xff\xd8"):
        return None
    offset = 2
    while offset + 10 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[offset + 5 : offset + 7])
            width = int.from_bytes(data[offset + 7 : offset + 9])
            return height, width, data[offset + 9]
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4])
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are valid even if the EXIF block is damaged
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to white instead of scaling them
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
