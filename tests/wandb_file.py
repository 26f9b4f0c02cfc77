"""Reads the records of an offline W&B run: LevelDB's log format around protocol buffers.

Blocks of 32 KiB; in them chunks of checksum (4 bytes), length (2), type (1) and content: a record is one
chunk of type 1, or chunks of type 2, 3, ..., 3, 4. The first 7 bytes of the file are W&B's own.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class WandbRun(NamedTuple):
    """What W&B was told. `history` has a row for each time something was logged."""

    about: Any
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]
    exit_code: int | None


def read_wandb_file(path: Path) -> WandbRun:
    about, config, history, summary, exit_code = None, {}, [], {}, None
    for content in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(content)
        match record.WhichOneof("record_type"):
            case "run":
                about = record.run
                config |= {item.key: json.loads(item.value_json) for item in about.config.update}
            case "config":
                config |= {_key(item): json.loads(item.value_json) for item in record.config.update}
            case "history":
                history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
            case "summary":
                summary |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
            case "exit":
                exit_code = record.exit.exit_code
    return WandbRun(about, config, history, summary, exit_code)


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _records(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    place, parts = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # too little for a chunk: zeros
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        chunk = content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        parts = chunk if kind in (FULL, FIRST) else parts + chunk
        if kind in (FULL, LAST):
            yield parts
