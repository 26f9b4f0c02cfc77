"""What `train` is asked for. Imports no torch: the entry point answers mistakes at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config import TrainConfig


@dataclass(frozen=True)
class TrainRequest:
    """Hold the configuration of a new run, or of the run to resume, whose folder is `previous`.

    `resolved` is the same configuration as plain data, `overrides` what was typed.
    """

    config: TrainConfig
    resolved: dict[str, Any]
    overrides: list[str]
    previous: Path | None = None
