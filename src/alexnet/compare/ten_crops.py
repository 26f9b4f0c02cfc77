"""What ten crops are worth: networks that evaluate.py has evaluated on the centre crop and on ten.

Both errors are of the same weights and images, so their difference is known more precisely than that of two
networks, and needs no other training.
"""

from dataclasses import dataclass
from statistics import fmean

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect, paired_effect
from alexnet.compare.runs import CropErrors, read_claim
from alexnet.compare.tables import (
    CLAIM_HEADINGS,
    Section,
    Table,
    claim_numbers,
    difference_text,
    format_number,
    interval_text,
)
from alexnet.config import ClaimConfig
from alexnet.files import parse_yaml
from alexnet.paths import CONF

EXPERIMENT = CONF / "experiment/ten_crops.yaml"  # holds the paper's claim
NAME = EXPERIMENT.stem
EXPLANATION = (
    "Errors of the same networks on the centre crop and averaged over ten crops, measured by evaluate.py."
    " Differences are paired by network."
)


@dataclass(frozen=True)
class CropEffect:
    """Mean top-1 errors of an arm's networks in percent, and the differences, ten crops minus the centre."""

    arm: ArmResult
    center: float
    ten: float
    top1: Effect
    top5: Effect | None


def crop_effects(comparison: Comparison) -> list[CropEffect]:
    """Return the effect of ten crops for each arm of which all runs that started were evaluated both ways."""
    effects = []
    for arm in comparison.all_variants:
        evaluated = [run.crop_errors for run in arm.started if run.crop_errors]
        if evaluated and len(evaluated) == len(arm.started):
            effects.append(_effect(arm, evaluated, comparison.confidence))
    return effects


def ten_crops_claim() -> ClaimConfig:
    """Return what the paper claims of ten crops."""
    return read_claim(parse_yaml(EXPERIMENT.read_text(encoding="utf-8"))["claim"], EXPERIMENT)


def ten_crops_section(comparison: Comparison, *, short: bool = False) -> Section | None:
    """Tabulate the effects, `short` in 80 columns; None where no arm was evaluated."""
    effects = crop_effects(comparison)
    if not effects:
        return None
    interval, (paper, log) = f"{comparison.confidence:.0%} interval", CLAIM_HEADINGS
    headings = ["arm", "runs", "centre", "ten crops", "top-1", interval, paper]
    headings += [] if short else [log, "top-5", interval]
    claimed, rows = claim_numbers(ten_crops_claim()), []
    for effect in effects:
        row = [effect.arm.name, str(len(effect.arm.started))]
        row += [format_number(error, ".2f", "%") for error in (effect.center, effect.ten)]
        row += [difference_text(effect.top1), interval_text(effect.top1), *claimed]
        rows.append(row[:-1] if short else [*row, difference_text(effect.top5), interval_text(effect.top5)])
    return Section("Ten crops", Table(headings, rows), [EXPLANATION])


def _effect(arm: ArmResult, evaluated: list[CropErrors], confidence: float) -> CropEffect:
    center, ten = [errors.center_top1 for errors in evaluated], [errors.ten_top1 for errors in evaluated]
    center5 = [errors.center_top5 for errors in evaluated if errors.center_top5 is not None]
    ten5 = [errors.ten_top5 for errors in evaluated if errors.ten_top5 is not None]
    complete = len(center5) == len(ten5) == len(evaluated)  # with too few classes there is no top-5 error
    return CropEffect(
        *(arm, fmean(center), fmean(ten)),
        paired_effect(ten, center, confidence),
        paired_effect(ten5, center5, confidence) if complete else None,
    )
