"""The request for a training run. Imports no torch, so that the entry point reports mistakes at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config import TrainConfig


@dataclass(frozen=True)
class TrainRequest:
    """Configuration of a new run, or of the run to resume, whose folder is `previous`.

    `resolved` is the same configuration as plain data, `overrides` what was typed.
    """

    config: TrainConfig
    resolved: dict[str, Any]
    overrides: list[str]
    previous: Path | None = None
