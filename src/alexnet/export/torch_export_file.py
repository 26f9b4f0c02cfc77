"""A network as torch's own export, a .pt2 file: runs without this package, in Python or compiled ahead."""

import json
from pathlib import Path
from typing import Any

import torch

from alexnet.export.check import Run
from alexnet.export.source import Source

DESCRIPTION = "description.json"  # among the file's extra files


def write(source: Source, description: dict[str, Any], path: Path) -> None:
    """Write `path`, with its description as an extra file."""
    torch.export.save(source.program, path, extra_files={DESCRIPTION: json.dumps(description)})


def load(source: Source, path: Path) -> Run:
    """The network in a file."""
    return torch.export.load(path).module()
