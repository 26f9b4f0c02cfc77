"""The request for a training run. Imports no torch, so that the entry point reports mistakes at once."""

import time
from dataclasses import dataclass, field
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
    made: float = field(default_factory=time.monotonic)  # when: loading counts towards trainer.max_time
