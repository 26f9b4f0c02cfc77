"""Every kind of pixel against values from the format's specification, in files that others wrote."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from alexnet.data.image import ImageError, decode_image

SIZE = 16
RGB = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
GRAY = RGB[..., 0]
WHITE = 255


def png(values: np.ndarray, color_type: int, depth: int, *, plte: bytes = b"", trns: bytes = b"") -> bytes:
    """A PNG file, written by the specification: `values` (height, width, channels) of `depth` bits."""
    height, width = values.shape[:2]
    flat = values.reshape(height, -1)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", plte),
        (b"tRNS", trns),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
        if body or kind == b"IEND"
    )


def pgm(values: np.ndarray, maxval: int) -> bytes:
    magic = b"P5" if values.ndim == 2 else b"P6"
    kind = ">u2" if maxval > 255 else "u1"
    return b"%s %d %d %d\n" % (magic, SIZE, SIZE, maxval) + values.astype(kind).tobytes()


def plain_pgm(values: np.ndarray, maxval: int) -> bytes:
    return f"P2 {SIZE} {SIZE} {maxval}\n{' '.join(map(str, values.ravel()))}\n".encode()


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, values, **({"photometric": "minisblack"} | options))
    return file.getvalue()


def bmp32(rgba: np.ndarray) -> bytes:
    """A BMP file with a header of version 4, which declares the fourth byte to be alpha."""
    pixels = np.ascontiguousarray(rgba[::-1, :, [2, 1, 0, 3]]).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, SIZE, SIZE, 1, 32, 3, len(pixels), 0, 0, 0, 0) + masks
    header = header.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + pixels


def pillow(image: Image.Image, name: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def wide(eight_bits: np.ndarray, bits: int) -> np.ndarray:
    """The same shades in more bits, with something in the lower ones."""
    highest = (1 << bits) - 1
    return np.round(eight_bits / 255 * highest).astype(np.uint16)


def decoded(data: bytes) -> np.ndarray:
    return decode_image(data, SIZE).transpose(1, 2, 0)


def gray_of(depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a few bits, and their shades: the full range is black to white."""
    values = GRAY >> (8 - depth)
    return values, np.round(values / ((1 << depth) - 1) * 255)


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, 2)


CASES: dict[str, tuple[Callable[[], bytes], np.ndarray]] = {
    **{
        f"png, gray of {depth} bits": ((lambda d=depth: png(gray_of(d)[0], 0, d)), as_rgb(gray_of(depth)[1]))
        for depth in (1, 2, 4)
    },
    "png, 8 bits": (lambda: png(GRAY, 0, 8), as_rgb(GRAY)),
    "png, 16 bits": (lambda: png(wide(GRAY, 16), 0, 16), as_rgb(GRAY)),
    "png, RGB": (lambda: png(RGB, 2, 8), RGB),
    "png, RGB of 16 bits": (lambda: png(wide(RGB, 16), 2, 16), RGB),
    "png, palette": (lambda: png(GRAY, 3, 8, plte=bytes(RGB.ravel())), RGB.reshape(-1, 3)[GRAY]),
    "pgm, maxval 100": (lambda: pgm(GRAY // 3, 100), as_rgb(np.round(GRAY // 3 / 100 * 255))),
    "pgm, maxval 4095": (lambda: pgm(wide(GRAY, 12), 4095), as_rgb(GRAY)),
    "pgm, maxval 65535": (lambda: pgm(wide(GRAY, 16), 65535), as_rgb(GRAY)),
    "plain pgm, maxval 1000": (
        lambda: plain_pgm(np.round(GRAY / 255 * 1000).astype(int), 1000),
        as_rgb(GRAY),
    ),
    "plain pgm, maxval 65535": (lambda: plain_pgm(wide(GRAY, 16), 65535), as_rgb(GRAY)),
    "ppm, maxval 1023": (lambda: pgm(wide(RGB, 10), 1023), RGB),
    "ppm, maxval 65535": (lambda: pgm(wide(RGB, 16), 65535), RGB),
    "tiff, 8 bits": (lambda: tiff(GRAY), as_rgb(GRAY)),
    "tiff, 8 bits, white is zero": (lambda: tiff(GRAY, photometric="miniswhite"), as_rgb(255 - GRAY)),
    "tiff, 16 bits": (lambda: tiff(wide(GRAY, 16)), as_rgb(GRAY)),
    "tiff, 16 bits, big endian": (lambda: tiff(wide(GRAY, 16), byteorder=">"), as_rgb(GRAY)),
    "tiff, 16 bits, white is zero": (
        lambda: tiff(wide(GRAY, 16), photometric="miniswhite"),
        as_rgb(255 - GRAY),
    ),
    "tiff, 16 bits, deflate": (lambda: tiff(wide(GRAY, 16), compression="zlib"), as_rgb(GRAY)),
    "tiff, RGB": (lambda: tiff(RGB, photometric="rgb"), RGB),
    "tiff, RGB, in planes": (
        lambda: tiff(RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        RGB,
    ),
    "tiff, RGB of 16 bits in planes, deflate": (
        lambda: tiff(
            wide(RGB, 16).transpose(2, 0, 1), photometric="rgb", planarconfig="separate", compression="zlib"
        ),
        RGB,
    ),
    "bmp whose fourth bytes are all zero": (lambda: bmp32(np.dstack([RGB, 0 * GRAY])), RGB),
    "tiff, RGB of 16 bits": (lambda: tiff(wide(RGB, 16), photometric="rgb"), RGB),
    "tiff, RGB of 16 bits, big endian": (lambda: tiff(wide(RGB, 16), photometric="rgb", byteorder=">"), RGB),
    "jpeg 2000, 16 bits": (
        lambda: pillow(Image.fromarray(wide(GRAY, 16)), "JPEG2000", irreversible=False),
        as_rgb(GRAY),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bit_depths(case: str) -> None:
    data, expected = CASES[case][0](), CASES[case][1]
    assert np.abs(decoded(data).astype(int) - expected.astype(int)).max() <= 1


def test_twelve_bits_packed_in_a_tiff() -> None:
    """Two values in three bytes (TIFF 6.0, FillOrder 1), which tifffile reads only with imagecodecs."""
    values = wide(GRAY, 12)
    bits = (values.reshape(SIZE, -1)[..., None] >> np.arange(11, -1, -1)) & 1
    strip = np.packbits(bits.reshape(SIZE, -1).astype(np.uint8), axis=1).tobytes()
    entries = [
        *((256, 4, SIZE), (257, 4, SIZE), (258, 3, 12), (259, 3, 1), (262, 3, 1)),
        *((273, 4, 8), (277, 3, 1), (278, 4, SIZE), (279, 4, len(strip))),
    ]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    ifd = struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)
    data = struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + ifd
    assert np.abs(decoded(data).astype(int) - as_rgb(GRAY)).max() <= 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: tiff(GRAY.astype(np.float32) / 255), "float pixels: range unknown; convert to 8 or 16 bits"),
        (lambda: tiff(RGB.astype(np.float32), photometric="rgb"), r"\w"),
        (lambda: tiff(wide(GRAY, 15).astype(np.int16)), "signed pixels: range unknown"),
        (lambda: tiff(GRAY.view(np.int8)), "signed pixels: range unknown"),
        (lambda: tiff(GRAY.astype(np.int32)), "signed pixels: range unknown"),
        (lambda: tiff(GRAY.astype(np.uint32) << 20), "integer pixels of 32 bits: range unknown"),
        (lambda: b"Pf %d %d -1.0\n" % (SIZE, SIZE) + GRAY.astype("<f4").tobytes(), "float pixels"),
        (lambda: png(wide(GRAY, 12), 0, 16), "pixels of 16 bits, of which the upper 4 are never used"),
        (lambda: png(wide(RGB, 12), 2, 16), "pixels of 16 bits, of which the upper 4 are never used"),
        (lambda: tiff(wide(GRAY, 12)), "pixels of 16 bits, of which the upper 4 are never used"),
        (lambda: tiff(wide(RGB, 12), photometric="rgb"), "pixels of 16 bits, of which the upper 4 are never"),
        (
            lambda: png(np.dstack([wide(GRAY, 12), np.full_like(wide(GRAY, 12), 65535)]), 4, 16),
            "pixels of 16 bits, of which the upper 4 are never used",
        ),
        (
            lambda: png(np.dstack([wide(RGB, 12), np.full_like(wide(GRAY, 12), 65535)]), 6, 16),
            "pixels of 16 bits, of which the upper 4 are never used",
        ),
        (
            lambda: tiff(
                wide(RGB, 16).transpose(2, 0, 1), photometric="rgb", planarconfig="separate", byteorder=">"
            ),
            "uncompressed planes of 16 bits are not read",
        ),
        (
            lambda: tiff(wide(np.dstack([RGB, GRAY]), 12), photometric="separated"),
            "pixels of 16 bits, of which the upper 4 are never used",
        ),
    ],
)
def test_unknown_ranges_are_refused(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(make(), SIZE)


ALPHA = np.random.default_rng(1).choice([0, 60, 128, 255], (SIZE, SIZE)).astype(np.uint8)


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Alpha over white (Porter and Duff, 1984)."""
    share = alpha[..., None] / 255
    return rgb * share + WHITE * (1 - share)


def with_alpha(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.atleast_3d(values), ALPHA[..., None].astype(values.dtype)], -1)


def without(gray: np.ndarray, color: int) -> np.ndarray:
    return np.where(gray == color, WHITE, gray)


def key(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def premultiplied(values: np.ndarray) -> np.ndarray:
    share = ALPHA[..., None] / 255
    return np.concatenate([np.round(np.atleast_3d(values) * share), ALPHA[..., None]], -1).astype(np.uint8)


def palette_of_transparent() -> tuple[bytes, np.ndarray]:
    plte, trns = bytes(RGB.ravel()[: 3 * 256]), bytes(ALPHA.ravel()[:200])
    alpha = np.frombuffer(trns.ljust(256, b"\xff"), np.uint8)[GRAY]
    return png(GRAY, 3, 8, plte=plte, trns=trns), on_white(
        np.frombuffer(plte, np.uint8).reshape(-1, 3)[GRAY], alpha
    )


def gif() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(GRAY % 8, "L").convert("P")
    image.putpalette(RGB.ravel()[:24].tolist())
    colors = np.array(RGB.ravel()[:24]).reshape(8, 3)[GRAY % 8]
    return pillow(image, "GIF", transparency=3), np.where((GRAY % 8 == 3)[..., None], WHITE, colors)


def rgb16_key() -> tuple[bytes, np.ndarray]:
    """A colour that differs from others in the lower bytes alone."""
    values = wide(RGB, 16)
    values[0, 0], values[0, 1] = (40_000, 513, 512), (40_000, 513, 513)
    expected = (values >> 8).astype(int)
    expected[0, 0] = WHITE
    return png(values, 2, 16, trns=key(40_000, 513, 512)), expected


TWO_BITS, SHADES = gray_of(2)
WIDE = wide(GRAY, 16)
TRANSPARENT: dict[str, tuple[Callable[[], bytes], np.ndarray]] = {
    "png, RGBA": (lambda: png(with_alpha(RGB), 6, 8), on_white(RGB, ALPHA)),
    "png, RGBA of 16 bits": (
        lambda: png(np.dstack([wide(RGB, 16), ALPHA.astype(np.uint16) * 257]), 6, 16),
        on_white(RGB, ALPHA),
    ),
    "png, gray and alpha": (lambda: png(with_alpha(GRAY), 4, 8), on_white(as_rgb(GRAY), ALPHA)),
    "png, gray and alpha of 16 bits": (
        lambda: png(np.dstack([WIDE, ALPHA.astype(np.uint16) * 257]), 4, 16),
        on_white(as_rgb(GRAY), ALPHA),
    ),
    "png, palette": (lambda: palette_of_transparent()[0], palette_of_transparent()[1]),
    "png, one gray": (lambda: png(GRAY, 0, 8, trns=key(GRAY[2, 3])), as_rgb(without(GRAY, GRAY[2, 3]))),
    "png, one gray of 2 bits": (
        lambda: png(TWO_BITS, 0, 2, trns=key(1)),
        as_rgb(np.where(TWO_BITS == 1, WHITE, SHADES)),
    ),
    "png, one of black and white": (
        lambda: png(GRAY >> 7, 0, 1, trns=key(0)),
        np.full((SIZE, SIZE, 3), WHITE),
    ),
    "png, one gray of 16 bits": (
        lambda: png(WIDE, 0, 16, trns=key(WIDE[2, 3])),
        as_rgb(np.where(WIDE[2, 3] == WIDE, WHITE, GRAY)),
    ),
    "png, one colour": (
        lambda: png(RGB, 2, 8, trns=key(*RGB[2, 3].tolist())),
        np.where((RGB[2, 3] == RGB).all(-1)[..., None], WHITE, RGB),
    ),
    "png, one colour of 16 bits": (lambda: rgb16_key()[0], rgb16_key()[1]),
    "gif": (lambda: gif()[0], gif()[1]),
    "webp": (
        lambda: pillow(Image.fromarray(with_alpha(RGB)), "WEBP", lossless=True, exact=True),
        on_white(RGB, ALPHA),
    ),
    "tiff": (
        lambda: tiff(with_alpha(RGB), photometric="rgb", extrasamples=["unassalpha"]),
        on_white(RGB, ALPHA),
    ),
    "tiff, premultiplied": (
        lambda: tiff(premultiplied(RGB), photometric="rgb", extrasamples=["assocalpha"]),
        on_white(RGB, ALPHA),
    ),
    "tiff, gray, premultiplied": (
        lambda: tiff(premultiplied(GRAY), extrasamples=["assocalpha"]),
        on_white(as_rgb(GRAY), ALPHA),
    ),
    "tiff, another channel": (
        lambda: tiff(with_alpha(RGB), photometric="rgb", extrasamples=["unspecified"]),
        RGB,
    ),
    "jpeg 2000": (
        lambda: pillow(Image.fromarray(with_alpha(RGB)), "JPEG2000", irreversible=False),
        on_white(RGB, ALPHA),
    ),
    "bmp with alpha": (lambda: bmp32(with_alpha(RGB)), on_white(RGB, ALPHA)),
    "bmp without alpha": (lambda: pillow(Image.fromarray(RGB), "BMP"), RGB),
}


@pytest.mark.parametrize("case", TRANSPARENT)
def test_transparent_pixels_are_on_white(case: str) -> None:
    data, expected = TRANSPARENT[case][0](), TRANSPARENT[case][1]
    tolerance = 1.01
    assert np.abs(decoded(data) - expected).max() <= tolerance
