"""Answer to `resolve=<points>`: how many runs each design takes, and the command that adds them."""

from shlex import join

import numpy as np

from alexnet.compare.comparison import Comparison
from alexnet.compare.effects import NO_SPREAD, PooledVariance, pooled_variance
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import AVERAGED, REMOVED
from alexnet.compare.power import (
    POWER,
    RESOLUTION,
    RunsNeeded,
    all_terms,
    factorial_runs,
    one_at_a_time_runs,
    smallest_fraction,
)
from alexnet.compare.tables import Section, Table
from alexnet.config.study import TWO_LEVEL, Design
from alexnet.errors import UserError
from alexnet.paths import command_for
from alexnet.studies.record import StudyRecord

SEEDS_KEY = "study.seeds"  # of each arm, or the replicates of each cell
NAMES = {
    Design.one_at_a_time: "one at a time",
    Design.factorial: "full factorial",
    Design.fraction: "fraction",
}
RESOLUTIONS = ("", "", "", " (III)", " (IV)", " (V)", " (VI)", " (VII)", " (VIII)", " (IX)", " (X)")
MOST_CELLS = 4096  # of a full factorial that is worth stating


def how_many_section(comparison: Comparison) -> Section | None:
    """Return how many runs resolve the difference that was asked for; None if none was.

    Raises `UserError` where the runs show no spread to reckon with.
    """
    points = comparison.resolve
    if points is None:
        return None
    variance = observed_variance(comparison)
    designs = runs_needed(comparison, points, variance)
    own = next((needed for needed in designs if needed.design is _design(comparison)), None)
    seeds = min(len(arm.runs) for arm in comparison.arms or [comparison.baseline])
    sentences = [
        f"Runs needed to resolve a difference of {points:g} points with {POWER:.0%} power at"
        f" {comparison.confidence:.0%} confidence (noncentral t), if runs have the standard deviation"
        f" observed here, {variance.deviation:.2f} points ({variance.freedom} degrees of freedom)."
    ]
    rows = [
        [
            f"{NAMES[needed.design]}{RESOLUTIONS[needed.resolution or 0]}",
            f"{needed.cells:,}",
            f"{needed.seeds:,}",
            f"{needed.runs:,}",
            REMOVED if needed.design is Design.one_at_a_time else AVERAGED,
            f"has {seeds}" if needed is own else "-",
        ]
        for needed in designs
    ]
    table = Table(["design", "arms", "seeds of each", "total runs", "effect", "this study"], rows)
    heading = f"How many runs resolve {points:g} points?"
    if own is None or seeds >= own.seeds:
        enough = [] if own is None else ["This study has enough."]
        return Section(heading, table, [*sentences, *enough])
    return Section(heading, table, sentences, add_runs_command(comparison.record, own.seeds))


def observed_variance(comparison: Comparison) -> PooledVariance:
    """Return the variance of the runs that started, about their arms or the model of their factorial."""
    if isinstance(comparison, Factorial):
        variance = PooledVariance(comparison.top1.deviation or 0.0, comparison.top1.freedom)
    else:
        groups = [np.array([run.top1_error for run in arm.started]) for arm in comparison.all_variants]
        groups = [group for group in groups if len(group) > 1]
        variance = pooled_variance(groups) if groups else PooledVariance(0.0, 0)
    if not variance.freedom or variance.deviation <= NO_SPREAD:
        reason = "no two runs differ" if variance.freedom else "no arm has two runs that started"
        raise UserError(
            f"resolve={comparison.resolve:g}: cannot estimate the spread between runs, because {reason}."
        )
    return variance


def runs_needed(comparison: Comparison, points: float, variance: PooledVariance) -> list[RunsNeeded]:
    """Return what each design needs: one at a time, a full factorial, and a fraction.

    The fraction is the study's own, or else the smallest of resolution V, if there is one.
    """
    confidence, record = comparison.confidence, comparison.record
    is_factorial = isinstance(comparison, Factorial)
    factors = len(comparison.factors) if isinstance(comparison, Factorial) else len(comparison.arms)
    designs = [one_at_a_time_runs(factors, points, variance, confidence)]
    cumulative = record is not None and record.design is Design.cumulative
    if not is_factorial and (cumulative or comparison.networks_differ or factors < 2):
        return designs  # networks cannot be combined, and what is cumulative is not taken apart
    if 2**factors <= MOST_CELLS:
        terms = all_terms(factors)
        designs.append(factorial_runs(Design.factorial, 2**factors, terms, points, variance, confidence))
    if isinstance(comparison, Factorial) and record and record.design is Design.fraction:
        cells, terms, resolution = len(record.arms), len(comparison.top1.averaged), record.resolution
    else:
        cells, terms, resolution = smallest_fraction(factors) or 0, all_terms(factors), RESOLUTION
    if cells:
        fraction = factorial_runs(Design.fraction, cells, terms, points, variance, confidence, resolution)
        designs.append(fraction)
    return designs


def add_runs_command(record: StudyRecord | None, seeds: int) -> str | None:
    """Return the command that brings a study to this number of seeds; None without the study's record."""
    if record is None:
        return None
    overrides = [override for override in record.overrides if not override.startswith(f"{SEEDS_KEY}=")]
    return f"{command_for('train')} -m {join([*overrides, f'{SEEDS_KEY}={seeds}'])}"


def _design(comparison: Comparison) -> Design:
    record = comparison.record
    return record.design if record and record.design in TWO_LEVEL else Design.one_at_a_time
