"""Conversion of decoded images to 8-bit RGB: bit depths and transparency.

Values are scaled where the format of the file states their range. Other pixels are refused: their range could
only be guessed.
"""

import numpy as np
import torch
from PIL import ExifTags, Image
from torchvision.io import ImageReadMode, decode_png

BACKGROUND = (255, 255, 255)  # behind transparent pixels: white, as on a page

PNG_BIT_DEPTH = 24  # offset of this byte in a file (PNG specification, 11.2.1)
SCALED_FORMATS = ("PNG", "TIFF", "JPEG2000")  # their integers of 9 to 16 bits take the whole range
SAMPLE_FORMATS = {2: "signed", 3: "float"}  # TIFF 6.0, section 19; 1 is unsigned
WHITE_IS_ZERO = 0  # TIFF 6.0, PhotometricInterpretation
SEPARATE_PLANES, UNCOMPRESSED = 2, 1  # TIFF 6.0, PlanarConfiguration and Compression
# 16-bit pixels that are all below it hold 12 bits or fewer: as 16 bits they would be nearly black
LEAST_MAXIMUM = 1 << 12


def to_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """Convert a loaded image to 8-bit RGB, transparent pixels on `BACKGROUND`.

    `data` is its file. Raises `ValueError` for pixels whose range is unknown.
    """
    _check_sample_format(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_wide_gray(image)
    bits = _bits(image, data)
    if bits > 8 and image.format == "TIFF":
        _check_planes(image)
    if bits == 16:  # Pillow keeps the higher byte of each value
        colors = len(image.getbands()) - (image.mode in ("LA", "La", "RGBA", "RGBa", "RGBX"))
        _check_range(int(np.atleast_3d(np.asarray(image))[..., :colors].max()) << 8)
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data or _is_empty_bmp(image):
        return image.convert("RGB")
    key = image.info.get("transparency")
    if image.format == "PNG" and image.mode in ("L", "RGB") and key is not None:
        return _without_color(image, key, bits, data)
    return _on_background(image.convert("RGBA"))


def _on_background(rgba: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")


def _without_color(image: Image.Image, key: int | tuple[int, ...], bits: int, data: bytes) -> Image.Image:
    """Replace the colour that a PNG declares transparent (tRNS), a value in the file's own bit depth."""
    if bits == 16:
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        values = decode_png(encoded, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
        unscaled = np.array(key)
    else:
        values = np.atleast_3d(np.asarray(image))
        highest = (1 << bits) - 1
        unscaled = (np.array(key) & highest) * 255 // highest
    transparent = (values == unscaled).all(-1)
    return Image.fromarray(np.where(transparent[..., None], np.uint8(255), np.asarray(image.convert("RGB"))))


def _from_wide_gray(image: Image.Image) -> Image.Image:
    """Convert grey pixels of 9 to 16 bits, of which the higher 8 are kept."""
    values = np.asarray(image)
    bits = 16
    if image.format in SCALED_FORMATS and image.mode != "I":
        if image.format == "TIFF":
            bits = _bits(image, b"")
        if bits == 16:
            _check_range(int(values.max()))
    elif image.format != "PPM":  # which Pillow has scaled from the file's maxval to 16 bits
        raise ValueError("integer pixels of 32 bits: range unknown; convert to 8 or 16 bits")
    gray = (values >> (bits - 8)).astype(np.uint8)
    if image.format == "TIFF" and _tiff_tag(image, ExifTags.Base.PhotometricInterpretation) == WHITE_IS_ZERO:
        gray = 255 - gray  # Pillow does it for 8 bits
    if (key := image.info.get("transparency")) is not None:
        gray = np.where(values == key, np.uint8(255), gray)
    return Image.fromarray(gray).convert("RGB")


def _check_sample_format(image: Image.Image) -> None:
    number = _tiff_tag(image, ExifTags.Base.SampleFormat) if image.format == "TIFF" else 1
    kind = "float" if image.mode == "F" else SAMPLE_FORMATS.get(number)
    if kind is not None:
        raise ValueError(f"{kind} pixels: range unknown; convert to 8 or 16 bits")


def _check_planes(image: Image.Image) -> None:
    """Raise `ValueError` for planes of 16 bits that Pillow would read as twice as many values of 8."""
    planes = _tiff_tag(image, ExifTags.Base.PlanarConfiguration)
    if planes == SEPARATE_PLANES and _tiff_tag(image, ExifTags.Base.Compression) == UNCOMPRESSED:
        raise ValueError("uncompressed planes of 16 bits are not read; compress them, or convert to 8 bits")


def _is_empty_bmp(image: Image.Image) -> bool:
    """Return whether a BMP file has no alpha but zeros: many programs leave the fourth byte unused."""
    return image.format == "BMP" and image.mode == "RGBA" and not np.asarray(image)[..., 3].any()


def _check_range(maximum: int) -> None:
    if maximum < LEAST_MAXIMUM:
        raise ValueError(
            "pixels of 16 bits, of which the upper 4 are never used: range unknown; scale them to 16 bits, or"
            " convert to 8"
        )


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits of a value in the file; 8 for formats that have no more."""
    if image.format == "PNG":
        return data[PNG_BIT_DEPTH]
    return _tiff_tag(image, ExifTags.Base.BitsPerSample) if image.format == "TIFF" else 8


def _tiff_tag(image: Image.Image, tag: int) -> int:
    """Return the largest value of a TIFF tag; 1, which is the standard's default, without it."""
    value: int | tuple[int, ...] = image.tag_v2.get(tag, 1)  # type: ignore[attr-defined]
    return max(value) if isinstance(value, tuple) else value
