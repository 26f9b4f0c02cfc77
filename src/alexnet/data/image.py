"""Decode image files to RGB arrays of one size, as the paper does (§2)."""

import math
import sys
import warnings
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.io import ImageReadMode, decode_jpeg

from alexnet.data.orientation import JpegHeader, read_jpeg_header, read_orientation, turn_upright
from alexnet.data.pixels import to_rgb
from alexnet.errors import lacks_memory

# of damaged metadata and many pixels, without the name of the file
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

UNREADABLE = -1  # label of an image that does not decode: excluded from the loss and the errors

EXTENSIONS = frozenset(
    (
        *(".jpeg", ".jpg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".avif", ".gif"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)

# a JPEG is decoded at 1/2, 1/4 or 1/8 if at least this many times the requested size is left for resizing
SCALED_DECODING = 2


class ImageError(Exception):
    """Raised for an image that does not decode; the message is the reason."""


def decode_image(data: bytes, size: int) -> NDArray[np.uint8]:
    """Decode the centre square of an image, resized to `size`: (3, size, size) RGB.

    This equals resizing the shorter side to `size` and cropping the centre, except that the outermost pixels
    do not use those beyond the crop. The image is turned upright according to its EXIF or XMP metadata; all
    kinds of pixels become 8-bit RGB, see `to_rgb`. Raises `ImageError` for data that does not decode
    completely, and for pixels whose range is unknown.
    """
    if not data:
        raise ImageError("empty file")
    try:
        return _centre_square(_decode(data, size), size)
    except Exception as error:  # decoders raise many types for a damaged file
        if lacks_memory(error):
            raise  # the file is not to blame
        raise ImageError(str(error).split(" '")[0].split(" <")[0] or type(error).__name__) from error


def resize_pixels(data: bytes, size: int) -> NDArray[np.uint8]:
    """Return a square image given as raw pixels, 3 planes of bytes, as `decode_image` does its file."""
    side = math.isqrt(len(data) // 3)
    return _centre_square(torch.frombuffer(bytearray(data), dtype=torch.uint8).view(3, side, side), size)


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encode an RGB image (3, height, width) as a JPEG file."""
    file = BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def decodes_at_full_size(header: JpegHeader, size: int) -> bool:
    """Return whether torchvision decodes every pixel of a JPEG file; if not, Pillow does, perhaps fewer."""
    return header.components in (1, 3) and min(header.height, header.width) < 2 * SCALED_DECODING * size


def _centre_square(pixels: Tensor, size: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    if side != size:
        square = interpolate(square[None], (size, size), mode="bilinear", antialias=True)[0]
    return square.numpy()


def _open(data: bytes, header: JpegHeader | None) -> Image.Image:
    """Open an image. Raises an error for more pixels than Pillow allows, if all of them would be decoded."""
    if header is None or header.progressive or header.pixels <= _most_pixels():
        return Image.open(BytesIO(data))
    return JpegImageFile(BytesIO(data))  # without the check, for a coarser grid


def _most_pixels() -> int:
    return 2 * (Image.MAX_IMAGE_PIXELS or sys.maxsize)  # where Pillow raises its error


def _decode(data: bytes, size: int) -> Tensor:
    """Decode all pixels, (3, height, width) uint8; those of a large JPEG at a reduced resolution."""
    header = read_jpeg_header(data)
    if header and decodes_at_full_size(header, size):
        try:  # a third faster than Pillow, and releases the interpreter lock
            encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            return turn_upright(decode_jpeg(encoded, ImageReadMode.RGB), header.orientation)
        except RuntimeError:
            pass  # Pillow reports a better reason
    with _open(data, header) as image:
        image.draft(None, (SCALED_DECODING * size, SCALED_DECODING * size))
        if image.width * image.height > _most_pixels():
            raise ValueError(f"{image.width * image.height:,} pixels to decode, which would fill the memory")
        image.load()
        pixels = torch.from_numpy(np.array(to_rgb(image, data))).permute(2, 0, 1)
        return turn_upright(pixels, read_orientation(image))
