"""The record of a study, study.json: its design, its arms, and what its pilot found."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.files import atomic_write

FILE = "study.json"
ARCHIVE = "results.json"  # results without the folders of their runs, see alexnet/compare/archive.py
PILOT = "pilot"  # folder of the pilot's runs in the study's: pilot/<arm>/<values>/seed=<n>
VERSION = 2
TOP1_ERROR = "val/top1_error"


@dataclass(frozen=True)
class Trial:
    """A run of the pilot: an arm with `values` of the grid's keys.

    `measured` is the pilot's measure after the last epoch, by default the top-1 error on the held-out images
    in percent; None if the run diverged.
    """

    arm: str
    values: dict[str, Any]
    seed: int
    measured: float | None
    started: bool


@dataclass(frozen=True)
class StudyRecord:
    """What a study's folder holds, beside the runs in <arm>/seed=<n>/.

    `arms` maps the name of each arm to the factors that it changes, none for the baseline; `seeds` to the
    seeds that it is run with; `chosen` to the values that the pilot chose for it, empty without a pilot.
    `aliases` are the effects that a fraction cannot tell apart, such as "no_lrn = no_dropout:tanh".
    """

    name: str
    title: str
    design: Design
    baseline: str
    factors: list[str]
    arms: dict[str, list[str]]
    seeds: dict[str, list[int]]
    resolution: int | None = None
    aliases: list[str] = field(default_factory=list)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    measure: str = TOP1_ERROR  # of the trials
    overrides: list[str] = field(default_factory=list)  # of the command that made it
    added: list[list[str]] = field(default_factory=list)  # of the commands whose runs were added later

    def write(self, folder: Path) -> None:
        """Write it to <folder>/study.json."""
        with atomic_write(folder / FILE) as file:
            file.write(json.dumps(to_content(self), indent=2).encode())


def to_content(record: StudyRecord) -> dict[str, Any]:
    """Return a record as plain data."""
    return {"version": VERSION} | asdict(record) | {"design": record.design.value}


def parse_record(content: dict[str, Any]) -> StudyRecord:
    """Return the record that `to_content` made plain. Raises `ValueError` for that of another version."""
    fields = dict(content)
    if fields.pop("version") != VERSION:
        raise ValueError("written by another version")
    trials = [Trial(**trial) for trial in fields.pop("trials")]
    return StudyRecord(**fields | {"design": Design(fields["design"]), "trials": trials})


def read_record(folder: Path) -> StudyRecord | None:
    """Read the record of a study's folder, or of its results; None if there is none.

    Raises `UserError` for a damaged one.
    """
    for path in (folder / FILE, folder / ARCHIVE):
        if path.is_file():
            return _read(path)
    return None


def _read(path: Path) -> StudyRecord | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.name == ARCHIVE:
            content = content["record"]
        return None if content is None else parse_record(content)  # results of what was no study
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read: {error}. Run the study's command again.") from None
