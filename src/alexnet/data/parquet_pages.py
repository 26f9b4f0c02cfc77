"""Single values of a Parquet file's column of bytes, in place.

pyarrow reads whole row groups, of a hundred images or more. Here a value is found by its page: about ten
images, decompressed together, or by its own bytes where pages are not compressed. Parquet's format:
github.com/apache/parquet-format, README.md (layout), Encodings.md, and parquet.thrift (headers of pages).
"""

import os
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.thrift import read_struct, read_varint
from alexnet.errors import UserError

HEADER = 16_384  # bytes in which a page's header is expected first; its statistics may take more

# parquet.thrift: PageType, Encoding
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY = 0, 2, 8

CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "UNCOMPRESSED": None}


_LAST = threading.local()  # the page that this thread read last, and its place


class Value(NamedTuple):
    """The place of a value: `offset` is its own, or that of a compressed page in which it is at `inner`."""

    offset: int
    inner: int
    size: int


class Page(NamedTuple):
    """A page of `size` bytes at `body`; decompressed it has `full_size`.

    The first `levels` bytes are not compressed. `values` counts nulls, too.
    """

    kind: int
    body: int
    size: int
    full_size: int
    values: int
    encoding: int
    levels: int
    compressed: bool


def list_values(path: Path, column: int, metadata: Any, as_stored: int) -> Iterator[Value | None]:
    """Yield the places of a column's values, None for nulls.

    `metadata` is pyarrow's of the file. `inner` of values that are stored as they are is `as_stored`. Raises
    `UserError` for encodings that are not read.
    """
    schema = metadata.schema.column(column)
    with path.open("rb", buffering=0) as file:
        for group in range(metadata.num_row_groups):
            if not metadata.row_group(group).num_rows:  # it may have no pages
                continue
            chunk = metadata.row_group(group).column(column)
            codec = CODECS[chunk.compression]
            start = chunk.data_page_offset
            if chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            end = start + chunk.total_compressed_size
            yield from _chunk_values(file, codec, schema.max_definition_level, (start, end), as_stored)


def read_value(file: FileIO, codec: str | None, value: Value) -> bytes:
    """Return a value in a compressed page. Raises `OSError` for a damaged one.

    Each thread keeps the page that it read last, for values that are read in the file's order.
    """
    status = os.fstat(file.fileno())
    key = (status.st_dev, status.st_ino, status.st_mtime_ns, value.offset)
    if getattr(_LAST, "key", None) != key:
        try:
            _LAST.body = _read_body(file, _read_header(file, value.offset), codec)
        except (LookupError, ValueError) as error:  # what decoding raises, and pyarrow
            raise OSError(f"a damaged page of the Parquet file ({error})") from error
        _LAST.key = key
    return _LAST.body[value.inner : value.inner + value.size]


def _chunk_values(
    file: FileIO, codec: str | None, max_level: int, span: tuple[int, int], as_stored: int
) -> Iterator[Value | None]:
    """Yield the values of one column in one row group, whose pages are in the bytes `span`."""
    start, end = span
    dictionary: list[Value] = []
    while start < end:
        page = _read_header(file, start)
        body = _read_body(file, page, codec)

        def place(inner: int, size: int, page: Page = page, start: int = start) -> Value:
            if page.compressed and codec is not None:
                return Value(start, inner, size)
            return Value(page.body + inner, as_stored, size)

        if page.kind == DICTIONARY_PAGE:
            dictionary = [place(*part) for part in _plain(body, 0, page.values)]
        elif page.kind in (DATA_PAGE, DATA_PAGE_V2):
            yield from _page_values(file, page, body, max_level, dictionary, place)
        start = page.body + page.size


def _page_values(
    file: FileIO, page: Page, body: bytes, max_level: int, dictionary: list[Value], place: Any
) -> Iterator[Value | None]:
    present, first = _present(page, body, max_level)
    count = int(present.sum())
    if page.encoding == PLAIN:
        values = iter([place(*part) for part in _plain(body, first, count)])
    elif page.encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY):
        indices = _hybrid(body[first + 1 :], body[first], count) if count else np.zeros(0, np.int64)
        values = iter([dictionary[index] for index in indices.tolist()])
    else:
        raise UserError(
            f"{os.fspath(file.name)}: images in Parquet encoding {page.encoding} are not supported. Rewrite"
            " it with pyarrow's default encoding."
        )
    for there in present.tolist():
        yield next(values) if there else None


def _present(page: Page, body: bytes, max_level: int) -> tuple[NDArray[np.bool_], int]:
    """Return which values of a data page are no nulls, and where the values begin."""
    if max_level == 0:
        return np.ones(page.values, np.bool_), page.levels
    width = max_level.bit_length()
    if page.kind == DATA_PAGE_V2:
        return _hybrid(body[: page.levels], width, page.values) == max_level, page.levels
    length = int.from_bytes(body[:4], "little")
    return _hybrid(body[4 : 4 + length], width, page.values) == max_level, 4 + length


def _plain(body: bytes, start: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each byte array: 4 bytes of length, then the bytes (Encodings.md, PLAIN)."""
    for _ in range(count):
        size = int.from_bytes(body[start : start + 4], "little")
        yield start + 4, size
        start += 4 + size


def _hybrid(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """Decode `count` integers of `width` bits (Encodings.md, RLE/bit-packing hybrid)."""
    if width == 0:  # a dictionary of one value
        return np.zeros(count, np.int64)
    parts: list[NDArray[np.int64]] = []
    start, left, size = 0, count, (width + 7) // 8
    while left > 0:
        header, start = read_varint(data, start)
        if header & 1:
            values = 8 * (header >> 1)
            packed = np.frombuffer(data, np.uint8, min(values * width // 8, len(data) - start), start)
            bits = np.unpackbits(packed, bitorder="little")
            rows = bits[: len(bits) // width * width].reshape(-1, width).astype(np.int64)
            parts.append(rows @ (1 << np.arange(width, dtype=np.int64)))
            start += len(packed)
        else:
            parts.append(np.full(header >> 1, int.from_bytes(data[start : start + size], "little"), np.int64))
            start += size
        left -= len(parts[-1])
        if not len(parts[-1]):
            raise ValueError("a run of no values")
    return np.concatenate(parts)[:count] if parts else np.zeros(0, np.int64)


def _read_header(file: FileIO, start: int) -> Page:
    """Read a page's header, parquet.thrift's PageHeader."""
    length = HEADER
    while True:
        data = os.pread(file.fileno(), length, start)
        try:
            fields, end = read_struct(data, 0)
            break
        except IndexError:
            if len(data) < length:
                raise OSError(f"not a page of a Parquet file at byte {start}") from None
            length *= 4
    kind, body = fields[1], start + end
    part = fields.get({DATA_PAGE: 5, DICTIONARY_PAGE: 7, DATA_PAGE_V2: 8}.get(kind, 0), {})
    v2 = kind == DATA_PAGE_V2
    levels = part[5] + part[6] if v2 else 0
    compressed = part.get(7, True) if v2 else True
    encoding = part.get(4 if v2 else 2, PLAIN)
    return Page(kind, body, fields[3], fields[2], part.get(1, 0), encoding, levels, compressed)


def _read_body(file: FileIO, page: Page, codec: str | None) -> bytes:
    """Return a page decompressed, the levels of version 2 before its values."""
    data = os.pread(file.fileno(), page.size, page.body)
    if len(data) < page.size:
        raise OSError("the Parquet file is truncated")
    if codec is None or not page.compressed:
        return data
    levels, packed = data[: page.levels], data[page.levels :]
    if page.full_size == page.levels:
        return levels
    return levels + _decompress(packed, page.full_size - page.levels, codec)


def _decompress(data: bytes, full_size: int, codec: str) -> bytes:
    pyarrow = import_pyarrow()
    return pyarrow.decompress(data, decompressed_size=full_size, codec=codec, asbytes=True)


def import_pyarrow() -> Any:
    """Return the module pyarrow. Raises `UserError` if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            "Parquet files need pyarrow: install it (pip install pyarrow, or the extra `parquet` of"
            " pyproject.toml)."
        ) from error
    return pyarrow
