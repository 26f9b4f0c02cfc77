"""Everything that `export.py` needs."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from omegaconf import MISSING

from alexnet.choices import ExportFormat
from alexnet.config.checked import Checked, check, check_positive
from alexnet.errors import UserError

OLDEST_OPSET = 18  # torch writes no older one; asked for one it would go on with this


@dataclass
class ExportConfig(Checked):
    """Everything that `export.py` needs. `format` is a format's name, or several."""

    run: str | None = MISSING
    checkpoint: str | None = MISSING
    format: Any = MISSING
    out: str | None = MISSING
    tolerance: float = MISSING
    opset: int | None = MISSING

    @property
    def formats(self) -> list[ExportFormat]:
        """Each format once. Raises `UserError` for one that there is not."""
        given = self.format if isinstance(self.format, list) else [self.format]
        return list(dict.fromkeys(_format(str(name)) for name in given))

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Give what to export: either run=<run folder> or checkpoint=<file>.")
        check(bool(self.formats), "format", self.format, "a format, or several")
        check_positive("tolerance", self.tolerance)
        expected = f"a version of ONNX's operators from {OLDEST_OPSET} up"
        check(self.opset is None or self.opset >= OLDEST_OPSET, "opset", self.opset, expected)


def _format(name: str) -> ExportFormat:
    choices = [each.value for each in ExportFormat]
    if name in choices:
        return ExportFormat(name)
    nearest = get_close_matches(name, choices, n=1, cutoff=0.5)
    asked = f" Did you mean {nearest[0]}?" if nearest else ""
    raise UserError(f"format={name}: no such value.{asked} Choices: {', '.join(sorted(choices))}.")
