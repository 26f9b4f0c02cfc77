"""The comparison as tables of text, for HTML, Markdown and the terminal."""

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from alexnet.compare.arms import format_changes
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect, Interval
from alexnet.compare.model_diffs import ABSENT
from alexnet.compare.runs import ExcludedRun


@dataclass(frozen=True)
class Table:
    """A heading for each column, and rows of as many cells."""

    headings: list[str]
    rows: list[list[str]]


def effects_table(comparison: Comparison) -> Table:
    """Tabulate each arm's differences in percentage points, beside what was claimed."""
    top5 = any(arm.top5 for arm in comparison.arms)
    interval = f"{comparison.confidence:.0%} interval"
    family = comparison.family.intervals
    headings = ["arm", "top-1", interval, *([f"family-wise {comparison.confidence:.0%}"] if family else [])]
    headings += [*(["top-5", interval] if top5 else []), "pairs"]
    headings += ["top-1 is", *(["top-5 is"] if top5 else []), "changes", "paper", "2012 run log"]
    rows = []
    for arm in comparison.arms:
        effects = [arm.top1, arm.top5] if top5 else [arm.top1]
        row = [arm.name, difference_text(arm.top1), interval_text(arm.top1)]
        row += [format_interval(family[arm.name])] if family else []
        row += [difference_text(arm.top5), interval_text(arm.top5)] if top5 else []
        row += [str(len(arm.runs)), *map(significance_text, effects)]
        rows.append([*row, arm.factor_text, paper_text(arm), log_text(arm)])
    return Table(headings, rows)


def short_effects_table(comparison: Comparison) -> Table:
    """Tabulate the differences in 80 columns: claims of top-1 only, without splits and sources."""
    top5 = any(arm.top5 for arm in comparison.arms)
    interval = f"{comparison.confidence:.0%} interval"
    headings = ["arm", "top-1", interval, *(["top-5"] if top5 else []), "n", "top-1 is", "paper", "run log"]
    rows = []
    for arm in comparison.arms:
        row = [arm.name, difference_text(arm.top1), interval_text(arm.top1)]
        row += [
            *([difference_text(arm.top5)] if top5 else []),
            str(len(arm.runs)),
            significance_text(arm.top1),
        ]
        claim = arm.claim
        rows.append([*row, _number(claim.top1, "+.3g"), _number(claim.log_top1, "+.3g")])
    return Table(headings, rows)


def costs_table(comparison: Comparison) -> Table:
    """Tabulate errors, epochs and cost of the baseline and each arm."""
    headings = ["arm", "top-1 error", "top-5 error", f"epochs to {comparison.training_error:g}%"]
    headings += ["images/s", "minutes", "peak MB", "parameters"]
    rows = []
    for arm in comparison.all_variants:
        seconds = arm.mean(lambda run: run.wall_seconds)
        memory = arm.mean(lambda run: run.peak_memory_mb)
        rows.append(
            [
                arm.name,
                _number(arm.mean(lambda run: run.top1_error), ".2f", "%"),
                _number(arm.mean(lambda run: run.top5_error), ".2f", "%"),
                epochs_text(arm, comparison.baseline),
                speed_text(arm, spread=True),
                _number(None if seconds is None else seconds / 60, ".1f"),
                _number(memory, ",.0f"),
                _number(arm.mean(lambda run: run.parameters), ",.0f"),
            ]
        )
    return Table(headings, rows)


def other_metrics_table(comparison: Comparison) -> Table:
    """Tabulate the mean of each other metric, with the difference from the baseline and its interval."""
    rows = []
    for arm in comparison.all_variants:
        row = [arm.name]
        for name in comparison.other_metrics:
            text = _number(arm.mean_metric(name), ".4g")
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
    return Table(["run", "why it does not count"], [[run.name, run.reason] for run in excluded])


def difference_text(effect: Effect | None) -> str:
    """Format a mean difference: +1.40."""
    return "-" if effect is None else f"{effect.mean:+.2f}"


def interval_text(effect: Effect | None) -> str:
    """Format the interval of an effect: +0.20 to +2.60."""
    return "-" if effect is None or effect.interval is None else format_interval(effect.interval)


def format_interval(interval: Interval) -> str:
    """Format an interval: +0.20 to +2.60."""
    low, high = interval
    return f"{low:+.2f} to {high:+.2f}"


def significance_text(effect: Effect | None) -> str:
    """Format what an effect shows: higher error, not resolved, ..."""
    return "-" if effect is None else effect.significance.value


def paper_text(arm: ArmResult) -> str:
    """Format the paper's top-1 / top-5 difference with section and split, or its words."""
    claim = arm.claim
    numbers = _top1_and_top5(claim.top1, claim.top5)
    where = ", ".join(filter(None, [f"§{claim.section}" if claim.section else "", claim.split]))
    statement = ": ".join(filter(None, [numbers if numbers != "-" else "", claim.text]))
    return f"{statement} ({where})" if statement and where else statement or "-"


def log_text(arm: ArmResult) -> str:
    """Format the run log's top-1 / top-5 difference with split and file."""
    claim = arm.claim
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


def speed_text(arm: ArmResult, *, spread: bool = False) -> str:
    """Format the images a second, mean over the runs: 306, or 306 ± 12 with its standard deviation."""
    speeds = [run.images_per_second for run in arm.runs]
    known = [speed for speed in speeds if speed is not None]
    if len(known) < len(speeds):
        return "-"
    mean = fmean(known)
    decimals = max(0, 2 - math.floor(math.log10(mean))) if mean > 0 else 0  # three digits
    deviation = f" ± {stdev(known):,.{decimals}f}" if spread and len(known) > 1 else ""
    return f"{mean:,.{decimals}f}{deviation}"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _top1_and_top5(top1: float | None, top5: float | None) -> str:
    if top1 is None and top5 is None:
        return "-"
    return " / ".join("?" if value is None else f"{value:+.3g}" for value in (top1, top5))
