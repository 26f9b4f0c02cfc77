"""The orientation of an image, as its EXIF or XMP metadata gives it, and the header of a JPEG file."""

from struct import iter_unpack, unpack_from
from typing import NamedTuple

from PIL import ExifTags, Image
from torch import Tensor

EXIF = b"Exif\0\0"
SHORT = 3  # type of a value, 16 bits unsigned
XMP = b"http://ns.adobe.com/xap/1.0/\0"

# EXIF orientation -> whether rows and columns are exchanged, and which dimensions of (3, height, width)
# are mirrored then (EXIF 2.32, table 6)
TRANSFORMS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (2,)),
    3: (False, (1, 2)),
    4: (False, (1,)),
    5: (True, ()),
    6: (True, (2,)),
    7: (True, (1, 2)),
    8: (True, (1,)),
}


class JpegHeader(NamedTuple):
    """Height and width in pixels, colour components, and orientation, 1 to 8, of a JPEG file.

    A progressive file needs memory for all its pixels, even if fewer are asked for.
    """

    height: int
    width: int
    components: int
    progressive: bool
    orientation: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Read all segments before the scan of a JPEG file, in any order (ITU T.81, B.2); None for others."""
    if not data.startswith(b"\xff\xd8"):
        return None
    offset, frame = 2, None
    metadata: list[bytes] = []
    while offset + 10 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if marker == 0xDA:  # start of scan
            break
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = (
                int.from_bytes(data[offset + 5 : offset + 7]),
                int.from_bytes(data[offset + 7 : offset + 9]),
                data[offset + 9],
                marker not in (0xC0, 0xC1),
            )
        elif marker == 0xE1:
            metadata.append(data[offset + 4 : end])
        offset = end
    return None if frame is None else JpegHeader(*frame, _of_segments(metadata) if metadata else 1)


def _of_segments(segments: list[bytes]) -> int:
    """Return the orientation in the APP1 segments of a JPEG file, of which EXIF may take several."""
    exif = [segment for segment in segments if segment.startswith(EXIF)]
    xmp = [segment for segment in segments if segment.startswith(XMP)]
    if len(exif) == 1 and (orientation := _in_directory(exif[0][len(EXIF) :])):
        return orientation
    header = Image.new("1", (1, 1))  # holds the metadata for Pillow's reader
    if exif:
        header.info["exif"] = EXIF + b"".join(segment.removeprefix(EXIF) for segment in exif)
    if xmp:
        header.info["xmp"] = xmp[-1].removeprefix(XMP)
    return read_orientation(header) if header.info else 1


def _in_directory(exif: bytes) -> int | None:
    """Find the orientation in an intact EXIF block; None: ask Pillow, which takes ten times as long."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return None
    (start,) = unpack_from(f"{order}I", exif, 4)
    (count,) = unpack_from(f"{order}H", exif, min(start, len(exif) - 2))
    entries = exif[start + 2 : start + 2 + 12 * count]
    if len(entries) < 12 * count:
        return None
    found = [
        entry for entry in iter_unpack(f"{order}HHIHH", entries) if entry[0] == ExifTags.Base.Orientation
    ]
    if len(found) != 1 or found[0][1:3] != (SHORT, 1):
        return None
    return found[0][3] if found[0][3] in TRANSFORMS else 1


def read_orientation(image: Image.Image) -> int:
    """Return the orientation of an image, 1 to 8; 1 where its metadata is missing or damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if orientation in TRANSFORMS else 1
    except Exception:  # the pixels are valid even if the EXIF block is damaged
        return 1


def turn_upright(pixels: Tensor, orientation: int) -> Tensor:
    """Turn and mirror pixels (3, height, width) for viewing."""
    if orientation not in TRANSFORMS:
        return pixels
    exchanged, mirrored = TRANSFORMS[orientation]
    if exchanged:
        pixels = pixels.transpose(1, 2)
    return pixels.flip(mirrored) if mirrored else pixels
