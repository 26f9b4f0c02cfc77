"""What a start of the program is asked to train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config import TrainConfig


@dataclass(frozen=True)
class Request:
    """A new run, or `previous`: the folder of one to go on with.

    `resolved` is the same configuration as plain data, `overrides` what was typed.
    """

    config: TrainConfig
    resolved: dict[str, Any]
    overrides: list[str]
    previous: Path | None = None
