"""The numbers of a comparison as rows of CSV files: arms.csv, and effects.csv for a factorial."""

from typing import Any

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import Ratio, convergence
from alexnet.compare.effects import Effect, Interval
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.model import FactorialFit
from alexnet.compare.factorial.terms import Term
from alexnet.compare.one_at_a_time import OneAtATime, top5_error
from alexnet.config import ClaimConfig

Row = dict[str, Any]


def csv_files(comparison: Comparison) -> dict[str, list[Row]]:
    """Return the rows of each file by its name. None is not known."""
    metrics = comparison.other_metrics
    if isinstance(comparison, Factorial):
        cells = [
            {"arm": arm.name, "factors": " ".join(comparison.cells[arm.name])}
            | _results(arm)
            | _costs(arm)
            | {name: arm.mean_metric(name) for name in metrics}
            for arm in comparison.all_variants
        ]
        return {"arms.csv": _as_text(cells), "effects.csv": _as_text(_effects(comparison))}
    family = comparison.family.intervals if isinstance(comparison, OneAtATime) else {}
    ratios = {found.arm.name: found.ratio for found in convergence(comparison)}
    rows = [
        {
            "arm": arm.name,
            "network": arm.network,
            "changes": "" if arm is comparison.baseline else arm.factor_text,
        }
        | _results(arm)
        | _differences(arm, family.get(arm.name))
        | _claim(arm.claim)
        | _costs(arm)
        | (_epochs_ratio(ratios[arm.name], arm.claim) if ratios else {})
        | _metrics(arm, metrics)
        for arm in comparison.all_variants
    ]
    return {"arms.csv": _as_text(rows)}


def _as_text(rows: list[Row]) -> list[Row]:
    """Return numbers as text with ten significant digits, as many as means and differences can have."""
    return [{key: _rounded(value) for key, value in row.items()} for row in rows]


def _rounded(value: Any) -> Any:
    return str(float(f"{value:.10g}")) if isinstance(value, float) else value


def _results(arm: ArmResult) -> Row:
    """Return starts, and errors in percent over the runs that started."""
    low, high = arm.start.interval
    return {
        "chosen": arm.tuned_text,
        "runs": arm.start.runs,
        "started": arm.start.started,
        "start_rate_low": low,
        "start_rate_high": high,
        "seeds": " ".join(str(run.seed) for run in arm.runs),
        "top1_error": arm.mean_error(),
        "top1_sd": arm.deviation,
        "top1_binomial_se": arm.binomial_error,
        "top5_error": arm.mean_error(top5_error),
    }


def _differences(arm: ArmResult, family: Interval | None) -> Row:
    """Return differences in percentage points: the one that is reported, then both estimates."""
    family_low, family_high = family or (None, None)
    top1, top5 = arm.top1_difference, arm.top5_difference
    return {
        "pairs": arm.pairs,
        "probability_better": arm.probability_better,
        **_effect("top1", top1.effect),
        "top1_estimate": top1.effect and ("pooled" if top1.pooled else "paired"),
        "top1_verdict": top1.effect and top1.effect.significance.value,
        **_effect("paired_top1", top1.paired),
        **_effect("pooled_top1", top1.pooled),
        "top1_family_low": family_low,
        "top1_family_high": family_high,
        **_effect("top5", top5.effect),
        "top5_estimate": top5.effect and ("pooled" if top5.pooled else "paired"),
        "top5_verdict": top5.effect and top5.effect.significance.value,
        **_effect("paired_top5", top5.paired),
        **_effect("pooled_top5", top5.pooled),
    }


def _claim(claim: ClaimConfig) -> Row:
    return {
        "paper_top1": claim.top1,
        "paper_top5": claim.top5,
        "paper_section": claim.section,
        "paper_split": claim.split,
        "log_top1": claim.log_top1,
        "log_top5": claim.log_top5,
        "log_split": claim.log_split,
        "log_file": claim.log_file,
    }


def _costs(arm: ArmResult) -> Row:
    reached = [epoch for epoch in arm.epochs_to_error if epoch is not None]
    return {
        "epochs_to_training_error": arm.epochs_needed,
        "runs_that_reached_it": len(reached),
        "images_per_second": arm.mean(lambda run: run.images_per_second),
        "wall_seconds": arm.mean(lambda run: run.wall_seconds),
        "peak_memory_mb": arm.mean(lambda run: run.peak_memory_mb),
        "parameters": arm.mean(lambda run: run.parameters),
    }


def _epochs_ratio(ratio: Ratio | None, claim: ClaimConfig) -> Row:
    """Return how many times the baseline's epochs an arm took to the training error."""
    low, high = (ratio and ratio.interval) or (None, None)
    return {
        "epochs_ratio": ratio and ratio.value,
        "epochs_ratio_low": low,
        "epochs_ratio_high": high,
        "paper_epochs_ratio": claim.epochs_ratio,
    }


def _metrics(arm: ArmResult, names: list[str]) -> Row:
    """Return the mean of each other metric, and its difference with the interval."""
    columns: Row = {}
    for name in names:
        columns |= {name: arm.mean_metric(name), **_effect(name, arm.other_effects.get(name))}
    return columns


def _effects(comparison: Factorial) -> list[Row]:
    """Return a row for each effect, main effects first."""
    rows = []
    for term in [*comparison.mains, *comparison.interactions]:
        rows.append(
            {"effect": term.name, "kind": "main" if term.is_main else "interaction"}
            | _term("top1", comparison.top1, term)
            | _term("top5", comparison.top5, term)
            | (_factor(comparison, term.name) if term.is_main else {})
        )
    return [{**dict.fromkeys(rows[0]), **row} for row in rows]


def _term(name: str, fit: FactorialFit | None, term: Term) -> Row:
    effect = fit.averaged[term] if fit else None
    removed = fit.removed[term.name] if fit and term.is_main else None
    return {
        **_effect(f"{name}_averaged", effect),
        f"{name}_averaged_verdict": effect and effect.significance.value,
        **_effect(f"{name}_removed", removed),
        f"{name}_removed_verdict": removed and removed.significance.value,
    }


def _factor(comparison: Factorial, name: str) -> Row:
    factor = comparison.factor[name]
    starts = {
        f"{key}_{level}": value
        for level, one in zip(("baseline", "changed"), factor.levels, strict=True)
        for key, value in (
            ("runs", one.start.runs),
            ("started", one.start.started),
            ("top1_error", one.top1_error),
        )
    }
    return {"changes": factor.text, **starts, **_claim(factor.claim)}


def _effect(name: str, effect: Effect | None) -> Row:
    low, high = (effect and effect.interval) or (None, None)
    return {f"{name}_difference": effect and effect.mean, f"{name}_low": low, f"{name}_high": high}
