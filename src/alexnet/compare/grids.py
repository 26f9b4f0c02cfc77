"""Arms tried at several values of one key, such as the learning rate: the best value stands for the arm."""

import re
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from alexnet.compare.runs import ExcludedRun, Run

FOLDER = re.compile(r"(?P<arm>[^,=]+),(?P<key>[^,=]+)=(?P<value>[^,=]+)")  # tanh,lr=0.01


@dataclass(frozen=True)
class Grid:
    """The runs of an arm by the value of `key`, each value's by seed.

    The values with the most seeds are compared, so that luck with a single seed does not decide;
    the one with the lowest mean top-1 error is chosen.
    """

    arm: str
    key: str
    tried: dict[str, dict[int, Run]]

    @property
    def compared(self) -> dict[str, dict[int, Run]]:
        """The values among which the choice is made, numbers in their order; none where no run counts."""
        most = max(map(len, self.tried.values()))
        full = {value: runs for value, runs in self.tried.items() if runs and len(runs) == most}
        return dict(sorted(full.items(), key=lambda item: _number(item[0]) or 0))

    @property
    def chosen(self) -> str | None:
        """The best value; None where no run counts."""
        return min(self.compared, key=lambda value: _error(self.compared[value]), default=None)

    @property
    def runs(self) -> dict[int, Run]:
        """The runs that stand for the arm."""
        return self.tried[self.chosen] if self.chosen else {}

    @property
    def at_edge(self) -> bool:
        """Whether the chosen value is the smallest or the largest of those compared."""
        values = list(self.compared)
        return self.chosen in (*values[:1], *values[-1:]) and None not in map(_number, values)

    def folder(self, value: str) -> str:
        """Return the name of the folder with the runs of a value."""
        return f"{self.arm},{self.key}={value}"

    def excluded(self) -> list[ExcludedRun]:
        """Return the values that were not chosen, and why."""
        if self.chosen is None:
            return []  # then none was chosen: the whole arm is missing
        others = [value for value in self.tried if value != self.chosen]
        return [ExcludedRun(self.folder(value), self._reason(self.tried[value])) for value in others]

    def _reason(self, runs: dict[int, Run]) -> str:
        best = f"{self.key}={self.chosen}"
        if not runs:
            return "none of its runs counts"
        if len(runs) < len(self.runs):
            return f"fewer seeds are complete than of {best}: {len(runs)}, not {len(self.runs)}"
        return f"{best} is chosen: top-1 error {_error(self.runs):.2f}% against {_error(runs):.2f}%"


def find_grids(arms: dict[str, dict[int, Run]]) -> list[Grid]:
    """Return the grids among arms called <arm>,<key>=<value>.

    An arm with several keys, or with a folder of its own name beside them, makes none.
    """
    tried: dict[tuple[str, str], dict[str, dict[int, Run]]] = {}
    for name, runs in arms.items():
        if match := FOLDER.fullmatch(name):
            tried.setdefault((match["arm"], match["key"]), {})[match["value"]] = runs
    keys = Counter(arm for arm, _ in tried)
    return [
        Grid(arm, key, values) for (arm, key), values in tried.items() if keys[arm] == 1 and arm not in arms
    ]


def grid_notes(grids: list[Grid]) -> list[str]:
    """State which values were chosen, and how; nothing where no arm had a choice."""
    if all(len(grid.compared) < 2 for grid in grids):
        return []
    choices = [f"{grid.arm} {grid.key}={grid.chosen} (of {', '.join(grid.compared)})" for grid in grids]
    notes = [
        f"Chosen for each arm: {'; '.join(choices)}. The choice was made by the same validation errors that"
        " are reported, which makes them a little too low."
    ]
    notes += [
        f"{grid.arm}: {grid.key}={grid.chosen} is at the edge of the values compared; a better one may lie"
        " beyond."
        for grid in grids
        if grid.at_edge
    ]
    return notes


def _error(runs: dict[int, Run]) -> float:
    return fmean(run.top1_error for run in runs.values())


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
