"""Orientation from EXIF and XMP, in every format and order, against Pillow's `exif_transpose`."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from alexnet.api import _encoded
from alexnet.data.image import decode_image

SIZE = 24
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def picture() -> Image.Image:
    """A picture that looks different in each of the eight orientations."""
    x, y = np.meshgrid(np.linspace(0, 255, SIZE), np.linspace(0, 255, SIZE))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], -1).astype(np.uint8))


def exif_block(orientation: int, order: str = ">", tag: int = 0x0112) -> bytes:
    """A TIFF header and one directory with one tag (EXIF 2.32, 4.6)."""
    header = b"MM\0*" if order == ">" else b"II*\0"
    return header + struct.pack(f"{order}IHHHIHHI", 8, 1, tag, 3, 1, orientation, 0, 0)


def xmp_block(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(before: bytes = b"", after: bytes = b"") -> bytes:
    """A JPEG file with segments before its first one, and others between its frame header and its scan."""
    file = BytesIO()
    picture().save(file, "JPEG", quality=95, subsampling=0)
    plain = file.getvalue()
    scan = plain.index(b"\xff\xda")
    return plain[:2] + before + plain[2:scan] + after + plain[scan:]


def expected(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1)


JPEGS = {
    "exif": lambda n: jpeg(segment(0xE1, EXIF + exif_block(n))),
    "exif, little endian": lambda n: jpeg(segment(0xE1, EXIF + exif_block(n, "<"))),
    "another tag alone, xmp": lambda n: jpeg(
        segment(0xE1, EXIF + exif_block(7, tag=0x011A)) + segment(0xE1, XMP + xmp_block(n))
    ),
    "xmp, exif": lambda n: jpeg(segment(0xE1, XMP + b"<x/>") + segment(0xE1, EXIF + exif_block(n))),
    "exif, xmp": lambda n: jpeg(segment(0xE1, EXIF + exif_block(n)) + segment(0xE1, XMP + xmp_block(1))),
    "xmp alone": lambda n: jpeg(segment(0xE1, XMP + xmp_block(n))),
    "exif after the frame header": lambda n: jpeg(after=segment(0xE1, EXIF + exif_block(n))),
    "fill bytes": lambda n: jpeg(b"\xff\xff" + segment(0xE1, EXIF + exif_block(n))),
    "exif in two": lambda n: jpeg(
        segment(0xE1, EXIF + exif_block(n)[:15]) + segment(0xE1, EXIF + exif_block(n)[15:])
    ),
    "comment, other": lambda n: jpeg(
        segment(0xFE, b"a comment") + segment(0xE1, b"other\0") + segment(0xE1, EXIF + exif_block(n))
    ),
    "damaged": lambda n: jpeg(segment(0xE1, EXIF + exif_block(n)[:-12])),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg(kind: str, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By both decoders."""
    data = JPEGS[kind](orientation)
    upright = expected(data)
    if kind != "damaged" and orientation > 1:
        assert np.abs(upright.astype(int) - np.asarray(picture()).transpose(2, 0, 1)).max() > 100
    monkeypatch.setattr("alexnet.data.image.Image.open", lambda *_: pytest.fail("Pillow was asked"))
    fast = decode_image(data, SIZE)
    np.testing.assert_array_equal(fast, upright)
    monkeypatch.undo()
    monkeypatch.setattr(
        "alexnet.data.image.decode_jpeg", lambda *_, **__: (_ for _ in ()).throw(RuntimeError)
    )
    np.testing.assert_array_equal(decode_image(data, SIZE), upright)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_other_formats(name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    picture().save(
        file, name, exif=exif, **({} if name in ("PNG", "TIFF") else {"lossless": True, "quality": 100})
    )
    data = file.getvalue()
    decoded = decode_image(data, SIZE)
    np.testing.assert_array_equal(decoded, expected(data))
    if orientation > 1:
        assert np.abs(decoded.astype(int) - np.asarray(picture()).transpose(2, 0, 1)).max() > 100


def test_every_orientation_is_the_standards() -> None:
    """The first row of the file is shown where EXIF 2.32, table 6, says ("the 0th row is at ...")."""
    first_row = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[:4] = 255
    for orientation, side in first_row.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", exif=exif, quality=95)
        shown = decode_image(file.getvalue(), SIZE)[0]
        bright = {"top": shown[0], "bottom": shown[-1], "left": shown[:, 0], "right": shown[:, -1]}[side]
        assert bright.min() > 240, orientation


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_opened_image_is_turned_like_its_file(name: str) -> None:
    """As they are given to `alexnet.load_run(...).predict`."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    picture().save(file, name, exif=exif, **({"lossless": True} if name == "WEBP" else {}))
    with Image.open(file) as opened:
        np.testing.assert_array_equal(decode_image(_encoded(opened), SIZE), expected(file.getvalue()))
