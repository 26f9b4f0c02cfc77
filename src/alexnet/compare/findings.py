"""What a comparison found of each arm or factor, beside what was claimed of it."""

from dataclasses import dataclass, replace

from alexnet.compare import ten_crops
from alexnet.compare.comparison import Comparison
from alexnet.compare.convergence import convergence
from alexnet.compare.effects import Effect, Interval
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.tables import (
    CLAIM_HEADINGS,
    Table,
    difference_text,
    format_number,
    interval_text,
    log_text,
    paper_text,
    ratio_texts,
)
from alexnet.compare.verdict import Verdict, verdict_in_words, verdict_text
from alexnet.config import ClaimConfig

SAME_EPOCHS = 1.0  # the ratio of epochs of two arms that converge equally fast


@dataclass(frozen=True)
class Finding:
    """A measured effect of an arm or factor. `measured` and `interval` are formatted; `runs` are the arm's.

    That of a factor is of its removal from the full network, which is what was claimed: `runs` are
    those that remove it alone, or all runs where only a model of them all tells it. `averaged` is
    its effect over all settings of the others, with its interval, and empty for other designs.
    """

    name: str
    changes: str
    runs: int
    measured: str
    interval: str
    claim: ClaimConfig
    claimed: str
    verdict: str
    averaged: str = ""


def findings(comparison: Comparison) -> list[Finding]:
    """Return a finding for each arm or factor, and for ten crops where the baseline was evaluated on them.

    That of an arm is how fast it converges if that was measured, else its error. On generated images no claim
    is tested: all are about photographs.
    """
    if isinstance(comparison, Factorial):
        found = _of_factors(comparison)
    else:
        found = _of_convergence(comparison) or [
            _error(arm.name, arm.changes_text, len(arm.started), arm.top1, arm.claim)
            for arm in comparison.arms
        ]
    found += _of_ten_crops(comparison)
    if _is_generated(comparison):
        return [replace(one, verdict=Verdict.untested.value) if one.claimed != "-" else one for one in found]
    return found


def claims_table(comparison: Comparison) -> Table | None:
    """Tabulate claims beside what was measured; None where nothing was claimed of any arm or factor."""
    rows = [
        [
            found.name,
            paper_text(found.claim),
            log_text(found.claim),
            _with_interval(found.measured, found.interval),
            found.verdict,
        ]
        for found in findings(comparison)
    ]
    rows = [row for row in rows if row[1:3] != ["-", "-"]]
    heading = "factor" if isinstance(comparison, Factorial) else "arm"
    return Table([heading, *CLAIM_HEADINGS, "measured", "verdict"], rows) if rows else None


def _is_generated(comparison: Comparison) -> bool:
    runs = [run for arm in comparison.all_variants for run in arm.runs]
    return all(run.settings.get("data.name") == "synthetic" for run in runs)


def _of_factors(comparison: Factorial) -> list[Finding]:
    arms = [(comparison.cells[arm.name], len(arm.started)) for arm in comparison.all_variants]
    all_runs = sum(runs for _, runs in arms)
    alone = {changed[0]: runs for changed, runs in arms if len(changed) == 1 and comparison.top1.replicated}
    found = []
    for term in comparison.mains:
        factor, averaged = comparison.factor[term.name], comparison.top1.averaged[term]
        runs = alone.get(term.name, all_runs)
        one = _error(factor.name, factor.text, runs, comparison.top1.removed[term.name], factor.claim)
        both = _with_interval(difference_text(averaged), interval_text(averaged))
        found.append(replace(one, averaged=both))
    return found


def _of_convergence(comparison: Comparison) -> list[Finding]:
    found = []
    for arm in convergence(comparison):
        if arm.arm is comparison.baseline:
            continue
        ratio, interval = ratio_texts(arm.ratio)
        claimed = arm.arm.claim.epochs_ratio
        limits = arm.ratio.interval if arm.ratio else None
        found.append(
            Finding(
                *(arm.arm.name, arm.arm.changes_text, len(arm.epochs)),
                f"{ratio} times the epochs",
                interval,
                arm.arm.claim,
                format_number(claimed, "g"),
                verdict_text(limits, claimed, SAME_EPOCHS),
            )
        )
    return found


def _of_ten_crops(comparison: Comparison) -> list[Finding]:
    return [
        _error(ten_crops.NAME, "crops=ten", len(effect.arm.started), effect.top1, ten_crops.ten_crops_claim())
        for effect in ten_crops.crop_effects(comparison)
        if effect.arm is comparison.baseline
    ]


def _error(name: str, changes: str, runs: int, effect: Effect | None, claim: ClaimConfig) -> Finding:
    limits: Interval | None = effect.interval if effect else None
    return Finding(
        *(name, changes, runs, difference_text(effect), interval_text(effect), claim),
        "higher" if claim.higher else format_number(claim.top1, "+.3g"),
        verdict_in_words(limits) if claim.higher else verdict_text(limits, claim.top1),
    )


def _with_interval(measured: str, interval: str) -> str:
    return measured if interval == "-" else f"{measured} ({interval})"
