"""What a reader must know before believing a comparison's speeds, in sentences."""

from collections.abc import Iterable
from statistics import fmean, stdev

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.runs import Run
from alexnet.compare.tables import speed_decimals

WIDE = 0.1  # standard deviation of an arm's speeds over its seeds, as a share of their mean


def speed_notes(comparison: Comparison) -> list[str]:
    """Return the notes on speeds that apply to these runs."""
    arms = comparison.all_variants
    runs = [run for arm in arms for run in arm.runs]
    return [*_busy(arms), *_spread(arms), *_side_by_side(runs), *_with_startup(runs)]


def _busy(arms: Iterable[ArmResult]) -> list[str]:
    busy = [(arm.name, run) for arm in arms for run in arm.runs if run.load is not None and run.load.busy]
    if not busy:
        return []
    most = max(run.load.other_cores / run.load.cores for _, run in busy if run.load is not None)
    return [
        f"Speeds and minutes of {len(busy)} run{'s' if len(busy) > 1 else ''} are unreliable: other"
        f" processes used up to {most:.0%} of the machine"
        f" ({', '.join(f'{name} seed={run.seed}' for name, run in busy)})."
    ]


def _spread(arms: Iterable[ArmResult]) -> list[str]:
    wide = []
    for arm in arms:
        speeds = [run.images_per_second for run in arm.runs if run.images_per_second is not None]
        if len(speeds) > 1 and stdev(speeds) > WIDE * fmean(speeds):
            decimals = speed_decimals(min(speeds))
            wide.append(f"{arm.name} {min(speeds):,.{decimals}f} to {max(speeds):,.{decimals}f}")
    if not wide:
        return []
    return [f"Speeds vary widely between seeds, in images/s: {'; '.join(wide)}."]


def _side_by_side(runs: list[Run]) -> list[str]:
    jobs = sorted({run.load.jobs for run in runs if run.load is not None})
    if len(jobs) > 1:
        numbers = f"{', '.join(map(str, jobs[:-1]))} and {jobs[-1]}"
        return [f"The number of runs at a time on a machine varied ({numbers}): speeds are not comparable."]
    return (
        [f"Speeds were measured with {jobs[0]} runs at a time on a machine."] if jobs and jobs[0] > 1 else []
    )


def _with_startup(runs: list[Run]) -> list[str]:
    trained = [run for run in runs if run.epochs is not None and run.images_per_second is not None]
    older = [run for run in trained if run.startup_seconds is None]
    if not older or len(older) == len(trained):
        return []
    return [
        f"The speeds of {len(older)} runs, made with an earlier version, include compilation and the first"
        " steps; those of the other runs do not."
    ]
