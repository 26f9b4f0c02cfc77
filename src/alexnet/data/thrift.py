"""Read structures in Thrift's compact protocol, in which Parquet's headers are written.

The protocol: github.com/apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

from typing import Any

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)

Struct = dict[int, Any]


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return an unsigned integer, 7 bits in a byte with the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7


def read_struct(data: bytes, start: int) -> tuple[Struct, int]:
    """Return the fields of a structure by their numbers, and its end. Raises `IndexError` if cut off."""
    fields: Struct = {}
    number = 0
    while True:
        head = data[start]
        start += 1
        kind = head & 0x0F
        if kind == STOP:
            return fields, start
        if head >> 4:
            number += head >> 4
        else:
            number, start = _read_zigzag(data, start)
        fields[number], start = (kind == TRUE, start) if kind in (TRUE, FALSE) else _read(data, start, kind)


def _read(data: bytes, start: int, kind: int) -> tuple[Any, int]:
    if kind in (I16, I32, I64):
        return _read_zigzag(data, start)
    if kind == STRUCT:
        return read_struct(data, start)
    if kind in (LIST, SET):
        return _read_list(data, start)
    if kind == BINARY:
        length, start = read_varint(data, start)
    else:
        length = {BYTE: 1, DOUBLE: 8}[kind]
    end = start + length
    if end > len(data):
        raise IndexError(end)
    return data[start:end], end


def _read_list(data: bytes, start: int) -> tuple[list[Any], int]:
    head = data[start]
    start += 1
    length, kind = head >> 4, head & 0x0F
    if length == 15:
        length, start = read_varint(data, start)
    items = []
    for _ in range(length):
        item, start = _read(data, start, BYTE if kind in (TRUE, FALSE) else kind)
        items.append(item)
    return items, start


def _read_zigzag(data: bytes, start: int) -> tuple[int, int]:
    value, start = read_varint(data, start)
    return (value >> 1) ^ -(value & 1), start
