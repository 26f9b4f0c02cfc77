"""The comparison as a run in Weights & Biases: tables and charts beside the runs of its study.

W&B's own tables of grouped runs have means alone: no standard error, no number of runs (wandb#5634, #8500).
"""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect, half_width
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import AVERAGED
from alexnet.compare.outline import outline
from alexnet.compare.runs import Run, Tracked
from alexnet.config import WandbMode
from alexnet.config.hashing import nest
from alexnet.errors import UserError, first_line
from alexnet.runs.tracking import start_run, sync_command

JOB_TYPE = "comparison"
LONGEST_NAME = 128  # characters that W&B accepts
ARM_COLUMNS = (
    *("arm", "changes", "runs", "started", "start_rate", "start_rate_low", "start_rate_high", "n"),
    *("top1_error", "top1_standard_error", "top1_low", "top1_high", "top1_deviation"),
    *("top5_error", "top5_standard_error"),
)
EFFECT_COLUMNS = ("of", "estimate", "difference", "low", "high", "verdict", "paper", "run_log")
RUN_COLUMNS = ("arm", "seed", "id", "started", "top1_error", "top5_error", "images_per_second", "minutes")

Row = list[Any]


def track(comparison: Comparison, folder: Path) -> str:
    """Write the comparison as a W&B run into `folder`, which has its charts; return its address.

    Made again, it is the same run, with the new tables. Offline, where nobody is logged in, the address is
    the command that uploads it. Raises `UserError` where the runs were not tracked, or are in several
    projects, and where W&B fails.
    """
    tracked = tracked_runs(comparison)
    groups = sorted({run.group for run in tracked if run.group})
    run = start_run(
        folder,
        project=tracked[0].project,
        entity=tracked[0].entity,
        name=comparison.title[:LONGEST_NAME],
        group=groups[0] if len(groups) == 1 else None,
        job_type=JOB_TYPE,
        tags=[arm.name[:64] for arm in comparison.arms],
        config=shared_config(comparison),
        notes="\n".join(outline(comparison).headline),
        mode=WandbMode.auto,
    )
    import wandb

    try:
        command = sync_command(run)
        tables = {"arms": arms_table(comparison), "effects": effects_table(comparison)}
        tables["runs"] = runs_table(comparison)
        logged: dict[str, Any] = {
            f"comparison/{name}": wandb.Table(columns=list(columns), data=rows)
            for name, (columns, rows) in tables.items()
        }
        for name in applicable_charts(comparison):
            logged[f"charts/{name}"] = wandb.Image(str(folder / f"{name}.png"))
        run.log(logged)
        columns, rows = tables["arms"]
        run.summary["arms"] = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
        run.finish()
    except Exception as error:  # wandb raises many types
        raise UserError(f"W&B could not store the comparison ({first_line(error)}).") from error
    return f"offline; to upload: {command}" if command else str(run.url)


def tracked_runs(comparison: Comparison) -> list[Tracked]:
    """Return where W&B has the runs. Raises `UserError` where it lacks one, and for several projects."""
    runs = [run for arm in comparison.all_variants for run in arm.runs]
    tracked = [run.tracked for run in runs if run.tracked is not None]
    untracked = [run for run in runs if run.tracked is None]
    if untracked:
        raise UserError(
            f"wandb: {len(untracked)} of these runs were made without W&B (logger=wandb),"
            f" {untracked[0].path} among them."
        )
    projects = sorted({f"{run.entity or 'your own'}/{run.project}" for run in tracked})
    if len(projects) > 1:
        raise UserError(f"wandb: the runs are in several W&B projects: {', '.join(projects)}.")
    return tracked


def shared_config(comparison: Comparison) -> dict[str, Any]:
    """Return the settings that all runs share, nested, and under `comparison` how they were compared."""
    first, *others = [run.settings for arm in comparison.all_variants for run in arm.runs]
    shared = {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }
    about = {
        "design": comparison.record.design.value if comparison.record else "one_at_a_time",
        "baseline": comparison.baseline.name,
        "arms": [arm.name for arm in comparison.arms],
        "confidence": comparison.confidence,
    }
    return nest(shared) | {"comparison": about}


def arms_table(comparison: Comparison) -> tuple[tuple[str, ...], list[Row]]:
    """Tabulate start rate and errors of the baseline and each arm, in percent.

    `n` runs have started; means, standard errors of the mean and its interval by Student's t are over them.
    """
    rows: list[Row] = []
    for arm in comparison.all_variants:
        start = arm.start
        errors = np.array([run.top1_error for run in arm.started])
        low, high = _interval(errors, comparison.confidence)
        rows.append(
            [
                *(arm.name, "" if arm is comparison.baseline else arm.factor_text),
                *(start.runs, start.started, start.started / start.runs, *start.interval),
                *(len(errors), arm.mean_error(), _standard_error(errors), low, high, arm.deviation),
                *_top5(arm),
            ]
        )
    return ARM_COLUMNS, rows


def effects_table(comparison: Comparison) -> tuple[tuple[str, ...], list[Row]]:
    """Tabulate the differences in top-1 error, in percentage points, beside what was claimed.

    They are of arms, or of the factors of a factorial and their interactions.
    """
    if isinstance(comparison, Factorial):
        fit, factors = comparison.top1, comparison.factor
        rows: list[Row] = []
        for term in [*comparison.mains, *comparison.interactions]:
            claim = factors[term.name].claim if term.is_main else None
            numbers = [claim and claim.top1, claim and claim.log_top1]
            rows.append([term.name, AVERAGED, *_effect(fit.averaged[term]), *numbers])
        return EFFECT_COLUMNS, rows
    return EFFECT_COLUMNS, [
        [
            arm.name,
            "pooled" if arm.top1_difference.pooled else "paired",
            *_effect(arm.top1),
            *(arm.claim.top1, arm.claim.log_top1),
        ]
        for arm in comparison.arms
    ]


def runs_table(comparison: Comparison) -> tuple[tuple[str, ...], list[Row]]:
    """Tabulate the runs, with their ids in W&B."""
    return RUN_COLUMNS, [
        [
            *(arm.name, run.seed, run.tracked and run.tracked.id, run.started, run.top1_error),
            *(run.top5_error, run.images_per_second, _minutes(run)),
        ]
        for arm in comparison.all_variants
        for run in arm.runs
    ]


def _effect(effect: Effect | None) -> Row:
    if effect is None:
        return [None, None, None, "no run started"]
    low, high = effect.interval or (None, None)
    return [effect.mean, low, high, effect.significance.value]


def _top5(arm: ArmResult) -> Row:
    errors = [run.top5_error for run in arm.started]
    known = np.array([error for error in errors if error is not None])
    complete = len(known) == len(errors) and len(known) > 0
    return [float(known.mean()), _standard_error(known)] if complete else [None, None]


def _standard_error(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else None


def _interval(values: NDArray[np.float64], confidence: float) -> tuple[float | None, float | None]:
    """Return Student's interval of the mean; none for fewer than two values, or without spread."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None, None
    half, mean = half_width(values, confidence), float(values.mean())
    return mean - half, mean + half


def _minutes(run: Run) -> float | None:
    return None if run.wall_seconds is None else run.wall_seconds / 60
