"""What a pilot chose, as a table in the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from alexnet.studies.pilot import Values, measure_heading, measure_text, nearest, summarize, values_name
from alexnet.studies.record import Trial
from alexnet.terminal import print_table


def print_pilot(
    trials: list[Trial], chosen: Mapping[str, Values], measure: str, at_edge: Sequence[str]
) -> None:
    """Print the values of each arm, and what the pilot measured there or nearest to them."""
    table = Table(title="Chosen by the pilot", title_justify="left", box=None, pad_edge=False)
    for heading in ("arm", "values", measure_heading(measure), "started"):
        table.add_column(heading, overflow="fold")
    outcomes = summarize(trials)
    for arm in dict.fromkeys(trial.arm for trial in trials):
        found = nearest([outcome for outcome in outcomes if outcome.arm == arm], chosen[arm])
        measured = measure_text(found.mean, measure)
        if found.values != chosen[arm]:
            measured += f" at {values_name(found.values)}"
        edge = " (at the edge)" if arm in at_edge else ""
        started = f"{found.started} of {found.runs}"
        table.add_row(arm, f"{values_name(chosen[arm])}{edge}", measured, started)
    print_table(table)
