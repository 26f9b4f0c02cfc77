"""The comparison as tables of text, for HTML, Markdown and the terminal."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from alexnet.compare.arms import format_changes
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import Ratio, convergence
from alexnet.compare.effects import Effect, Interval
from alexnet.compare.model_diffs import ABSENT
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.runs import ExcludedRun
from alexnet.compare.start_rate import StartRate
from alexnet.config import ClaimConfig

CLAIM_HEADINGS, SHORT_CLAIM_HEADINGS = ("paper", "2012 run log"), ("paper", "run log")


@dataclass(frozen=True)
class Table:
    """A heading for each column, and rows of as many cells."""

    headings: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Section:
    """A table under a heading, with sentences before it and, where there is one, a command after it."""

    heading: str
    table: Table
    sentences: Sequence[str] = ()
    command: str | None = None


def effects_table(comparison: OneAtATime) -> Table:
    """Tabulate each arm's differences in percentage points, those of claims beside the top-1 error's."""
    top5 = any(arm.top5 for arm in comparison.arms)
    confidence = f"{comparison.confidence:.0%}"
    family = comparison.family.intervals
    headings = ["arm", "started", "top-1", f"{confidence} interval", *CLAIM_HEADINGS, "top-1 result"]
    headings += [f"family-wise {confidence}"] if family else []
    headings += ["better", *(["top-5", f"{confidence} interval", "top-5 result"] if top5 else []), "changes"]
    rows = []
    for arm in comparison.arms:
        row = [arm.name, start_text(arm.start), difference_text(arm.top1), interval_text(arm.top1)]
        row += [*claim_numbers(arm.claim), significance_text(arm.top1)]
        row += [format_interval(family.get(arm.name))] if family else []
        row.append(format_number(arm.probability_better, ".2f"))
        if top5:
            row += [difference_text(arm.top5), interval_text(arm.top5), significance_text(arm.top5)]
        rows.append([*row, arm.changes_text])
    return Table(headings, rows)


def short_effects_table(comparison: OneAtATime) -> Table:
    """Tabulate the differences in top-1 error in 80 columns."""
    return _top1_table(comparison, [(arm, arm.top1) for arm in comparison.arms])


def ten_crops_effects_table(comparison: OneAtATime) -> Table | None:
    """Tabulate the differences in top-1 error on ten crops, in 80 columns; None if no arm has one."""
    effects = [(arm, arm.ten_crops) for arm in comparison.arms if arm.ten_crops]
    return _top1_table(comparison, effects) if effects else None


def errors_table(
    comparison: Comparison, *, with_choices: bool = True, with_start_rates: bool = True
) -> Table:
    """Tabulate start rate and errors of the baseline and each arm, with both kinds of spread."""
    tuned = with_choices and any(arm.tuned for arm in comparison.all_variants)
    headings = ["arm", "started", *([f"{comparison.confidence:.0%} start rate"] if with_start_rates else [])]
    headings += ["top-1 error", "SD over seeds", "binomial SE", "top-5 error", *(["chosen"] if tuned else [])]
    rows = []
    for arm in comparison.all_variants:
        row = [arm.name, start_text(arm.start)]
        row += [start_interval_text(arm.start)] if with_start_rates else []
        row.append(format_number(arm.mean_error(), ".2f", "%"))
        row += [format_number(arm.deviation, ".2f"), format_number(arm.binomial_error, ".2f")]
        row.append(format_number(arm.mean_error(lambda run: run.top5_error), ".2f", "%"))
        rows.append([*row, *([arm.tuned_text or "-"] if tuned else [])])
    return Table(headings, rows)


def costs_table(comparison: Comparison) -> Table:
    """Tabulate epochs and cost of the baseline and each arm."""
    headings = ["arm", f"epochs to {comparison.training_error:g}%"]
    headings += ["images/s", "minutes", "peak MB", "parameters"]
    rows = []
    for arm in comparison.all_variants:
        seconds = arm.mean(lambda run: run.wall_seconds)
        memory = arm.mean(lambda run: run.peak_memory_mb)
        rows.append(
            [
                arm.name,
                epochs_text(arm, comparison.baseline),
                speed_text(arm, spread=True),
                format_number(None if seconds is None else seconds / 60, ".1f"),
                format_number(memory, ",.0f"),
                format_number(arm.mean(lambda run: run.parameters), ",.0f"),
            ]
        )
    return Table(headings, rows)


def convergence_table(comparison: Comparison) -> Table | None:
    """Tabulate the epochs to the training error, and their ratio; None where runs did not measure it."""
    rows = []
    for found in convergence(comparison):
        row = [found.arm.name, f"{len(found.epochs)} of {len(found.arm.runs)}"]
        row += [format_number(found.mean, ".2f"), format_number(found.deviation, ".2f")]
        row += ratio_texts(found.ratio)
        rows.append([*row, format_number(found.arm.claim.epochs_ratio, "g")])
    headings = ["arm", "reached", "epochs", "SD over seeds", "ratio", f"{comparison.confidence:.0%} interval"]
    return Table([*headings, "paper"], rows) if rows else None


def other_metrics_table(comparison: Comparison) -> Table:
    """Tabulate the mean of each other metric, with the difference from the baseline and its interval."""
    rows = []
    for arm in comparison.all_variants:
        row = [arm.name]
        for name in comparison.other_metrics:
            text = format_number(arm.mean_metric(name), ".4g")
            if (effect := arm.other_effects.get(name)) is not None:
                interval = (
                    f", {effect.interval[0]:+.3g} to {effect.interval[1]:+.3g}" if effect.interval else ""
                )
                text += f" ({effect.mean:+.3g}{interval})"
            row.append(text)
        rows.append(row)
    return Table(["arm", *comparison.other_metrics], rows)


def model_differences_table(comparison: Comparison) -> Table | None:
    """Tabulate all keys in which arms of other networks differ from the baseline; None without such arms."""
    rows = []
    for arm in comparison.arms:
        if arm.reported != arm.factor:
            has = {key: pair for key, pair in arm.factor.items() if pair[1] != ABSENT}
            lacks = [key for key in arm.factor if key not in has]
            rows.append([arm.name, format_changes(has), " ".join(lacks) or "-"])
    return Table(["arm", "sets", "does not have"], rows) if rows else None


def excluded_table(excluded: list[ExcludedRun]) -> Table:
    """Tabulate the runs that do not count."""
    return Table(["run", "reason"], [[run.name, run.reason] for run in excluded])


def difference_text(effect: Effect | None) -> str:
    """Format a mean difference: +1.40."""
    return "-" if effect is None else f"{effect.mean:+.2f}"


def interval_text(effect: Effect | None) -> str:
    """Format the interval of an effect: +0.20 to +2.60."""
    return format_interval(effect.interval if effect else None)


def format_interval(interval: Interval | None) -> str:
    """Format an interval: +0.20 to +2.60; a hyphen if there is none."""
    if interval is None:
        return "-"
    low, high = interval
    return f"{low:+.2f} to {high:+.2f}"


def bound_text(effect: Effect | None) -> str:
    """Format how large an effect that is not resolved may be: less than 0.6 points either way."""
    if effect is None or effect.interval is None:
        return "of unknown size"
    return f"less than {math.ceil(10 * max(map(abs, effect.interval))) / 10:.1f} points either way"


def significance_text(effect: Effect | None) -> str:
    """Format what an effect shows: higher error, not resolved, ...; None is that no two runs are compared."""
    return "no pair started" if effect is None else effect.significance.value


def start_text(start: StartRate) -> str:
    """Format how many runs started: 3 of 5."""
    return f"{start.started} of {start.runs}"


def start_interval_text(start: StartRate) -> str:
    """Format the interval of a start rate: 15 to 95%."""
    low, high = start.interval
    return f"{100 * low:.0f} to {100 * high:.0f}%"


def claim_numbers(claim: ClaimConfig) -> list[str]:
    """Format the paper's and the run log's difference in top-1 error."""
    return [format_number(value, "+.3g") for value in (claim.top1, claim.log_top1)]


def paper_text(claim: ClaimConfig) -> str:
    """Format the paper's top-1 / top-5 difference with section and split, or its words."""
    numbers = _top1_and_top5(claim.top1, claim.top5)
    where = ", ".join(filter(None, [f"§{claim.section}" if claim.section else "", claim.split]))
    statement = ": ".join(filter(None, [numbers if numbers != "-" else "", claim.text]))
    return f"{statement} ({where})" if statement and where else statement or "-"


def log_text(claim: ClaimConfig) -> str:
    """Format the run log's top-1 / top-5 difference with split and file."""
    where = ", ".join(filter(None, [claim.log_split, claim.log_file]))
    numbers = _top1_and_top5(claim.log_top1, claim.log_top5)
    return f"{numbers} ({where})" if where and numbers != "-" else numbers


def epochs_text(arm: ArmResult, baseline: ArmResult) -> str:
    """Format the mean epochs to the training error, with their ratio to the baseline's."""
    if not arm.has_epochs:
        return "no epochs"
    reached = [epoch for epoch in arm.epochs_to_error if epoch is not None]
    if not reached:
        return "not reached"
    if arm.epochs_needed is None:
        return f"{len(reached)} of {len(arm.runs)} runs"
    if arm is baseline or not baseline.epochs_needed:
        return f"{arm.epochs_needed:.1f}"
    return f"{arm.epochs_needed:.1f} ({arm.epochs_needed / baseline.epochs_needed:.2g}x)"


def ratio_texts(ratio: Ratio | None) -> list[str]:
    """Format a ratio and its interval: 3.20 and 2.90 to 3.60."""
    if ratio is None:
        return ["-", "-"]
    interval = "-" if ratio.interval is None else "{:.2f} to {:.2f}".format(*ratio.interval)
    return [f"{ratio.value:.2f}", interval]


def speed_text(arm: ArmResult, *, spread: bool = False) -> str:
    """Format the images a second, mean over the runs: 306, or 306 ± 12 with its standard deviation."""
    speeds = [run.images_per_second for run in arm.runs]
    known = [speed for speed in speeds if speed is not None]
    if len(known) < len(speeds):
        return "-"
    mean = fmean(known)
    decimals = speed_decimals(mean)
    deviation = f" ± {stdev(known):,.{decimals}f}" if spread and len(known) > 1 else ""
    return f"{mean:,.{decimals}f}{deviation}"


def speed_decimals(speed: float) -> int:
    """Return with how many decimals a speed has three digits or more."""
    return max(0, 2 - math.floor(math.log10(speed))) if speed > 0 else 0


def format_number(value: float | None, form: str, unit: str = "") -> str:
    """Format a number with its unit; a hyphen if it is not known."""
    return "-" if value is None else f"{value:{form}}{unit}"


def _top1_table(comparison: OneAtATime, effects: Iterable[tuple[ArmResult, Effect | None]]) -> Table:
    interval, rows = f"{comparison.confidence:.0%} interval", []
    for arm, effect in effects:
        row = [arm.name, start_text(arm.start), difference_text(effect), interval_text(effect)]
        rows.append([*row, *claim_numbers(arm.claim), significance_text(effect)])
    return Table(["arm", "started", "top-1", interval, *SHORT_CLAIM_HEADINGS, "result"], rows)


def _top1_and_top5(top1: float | None, top5: float | None) -> str:
    if top1 is None and top5 is None:
        return "-"
    return " / ".join("?" if value is None else f"{value:+.3g}" for value in (top1, top5))
