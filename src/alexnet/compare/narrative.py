"""Headline, captions and method of a comparison, in sentences."""

from collections.abc import Iterable
from itertools import chain

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import Convergence, convergence
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.tables import bound_text, difference_text, interval_text, ratio_texts
from alexnet.compare.titles import epochs_text

CAPTIONS = {
    "history": (
        "History",
        "Validation top-1 error: hand-made features first, then networks by year of publication. Dots are"
        " seeds, diamonds their means with Student's t intervals. On the right: the number of parameters and"
        " the training speed.",
    ),
    "effects": (
        "Differences",
        "To the right of zero, the change raises the error. Hollow marks are not resolved. An arrow marks an"
        " interval that extends beyond the chart or, with a number, a difference outside it.",
    ),
    "training_error": (
        "Training error",
        "Epochs needed to reach each error on all training images, without augmentation or dropout: mean and"
        " range over the seeds. The dotted line marks the error at which the arms are compared.",
    ),
    "learning_curves": (
        "Learning curves",
        "Validation error of each arm and of the baseline: mean over the seeds. Bands span the lowest to the"
        " highest seed.",
    ),
    "pareto": (
        "Effects by size",
        "Main effects and interactions, averaged over the other factors, largest first. A bar that extends"
        " past the mark in its row is resolved; hollow bars are not.",
    ),
    "interactions": (
        "The largest interactions",
        "Mean top-1 error of the four combinations of two factors. Parallel lines mean that the effects add"
        " up.",
    ),
    "cost": (
        "Cost against benefit",
        "Arms higher up have a higher error, so what they leave out was worth having; arms further right"
        " train faster. An arrow marks an arm outside the chart, with its difference after its name.",
    ),
}


SHARED_METHOD = [
    "A run has started if its top-1 error after the last epoch is clearly below chance; start rates have"
    " exact Clopper-Pearson intervals. SD over seeds is the standard deviation of the top-1 error over the"
    " runs that started; binomial SE, sqrt(p (1 - p) / images), is the standard error due to the choice of"
    " validation images, which all runs share.",
    "Claims are differences too, arm minus baseline. Each compares single runs on a different data set or"
    " split: compare sign and size, not digits.",
]


def headline(comparison: OneAtATime) -> list[str]:
    """Summarize the result in a few sentences."""
    resolved = [arm for arm in comparison.arms if arm.top1 and arm.top1.resolved]
    error = comparison.baseline.mean_error()
    sentences = [
        f"{len(comparison.arms)} {'arm' if len(comparison.arms) == 1 else 'arms'} against"
        f" {comparison.baseline.name} ({comparison.baseline_rule}), on {setting(comparison)};"
        + (
            " no run of the baseline started."
            if error is None
            else f" the baseline's top-1 error is {error:.2f}%."
        ),
        f"Resolved differences in top-1 error: {len(resolved)} of {len(comparison.arms)}.",
    ]
    sentences += [_effect_sentence(arm) for arm in resolved]
    bounds = [f"{arm.name} {bound_text(arm.top1)}" for arm in comparison.arms if _is_bounded(arm)]
    sentences += [f"Not resolved: {', '.join(bounds)}."] if bounds else []
    sentences += [
        sentence for found in convergence(comparison) if (sentence := _ratio_sentence(comparison, found))
    ]
    return sentences


def setting(comparison: Comparison) -> str:
    """Name the validation data, how long training took, and the seeds."""
    runs = [run for arm in comparison.all_variants for run in arm.runs]
    epochs = f"{epochs_text(runs)}, " if any(arm.has_epochs for arm in comparison.all_variants) else ""
    seeds = {run.seed for run in runs}
    return f"{comparison.split}, {epochs}seeds {_numbers(seeds)}"


def _numbers(numbers: Iterable[int]) -> str:
    """List whole numbers in order, three or more in a row as a range: "0 to 4, 7, 8"."""
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    texts = [[f"{row[0]} to {row[-1]}"] if len(row) > 2 else map(str, row) for row in rows]
    return ", ".join(chain.from_iterable(texts))


def method(comparison: OneAtATime) -> list[str]:
    """Explain how the numbers were made, and what they leave out."""
    confidence = comparison.confidence
    sentences = [
        "A difference is the arm's error minus the baseline's after the last epoch, in percentage points;"
        " above zero, the arm's error is higher. Runs that did not start are left out.",
        f"Intervals are two-sided {confidence:.0%} Student's t intervals: of the difference of two means,"
        " with the variance pooled over arms, or of the mean difference between runs of the same seed. They"
        " cover the spread between seeds on these validation images, not that between sets of images. A"
        " difference is not resolved if its interval contains zero. Equal differences have no spread, so no"
        " interval.",
        '"Better" is the share of all pairs of an arm run and a baseline run in which the arm has the lower'
        " error; ties count half (Mann-Whitney U).",
    ]
    if comparison.family.intervals:
        sentences.append(
            f"With {confidence:.0%} confidence, the family-wise intervals contain the true differences"
            " of all arms simultaneously (Dunnett, 1955). They compare means without pairing seeds, and"
            " assume the same spread between seeds in all arms."
        )
    return [
        *sentences,
        *SHARED_METHOD,
        *_convergence_method(comparison),
        f"Epochs to {comparison.training_error:g}%: the first epoch whose top-1 training error, with dropout"
        f" and augmentation on, is at most {comparison.training_error:g}%; in brackets, as a multiple of the"
        " baseline's. The paper's Figure 1 uses this measure, for networks without regularisation, each at"
        " the learning rate that trained it fastest.",
        *conditions(comparison),
    ]


def conditions(comparison: Comparison) -> list[str]:
    """Say how memory is counted, and with which data, code and hardware the runs were made."""
    first = comparison.baseline.runs[0]
    return [
        "Peak MB is a run's peak memory in millions of bytes: that of the whole process on the CPU, that of"
        " the tensors on a GPU.",
        f"Data {first.data_fingerprint}, code {first.code}, torch {first.torch}, {first.hardware}.",
    ]


def _is_bounded(arm: ArmResult) -> bool:
    """Return whether an arm's difference is not resolved, but has an interval."""
    return arm.top1 is not None and arm.top1.interval is not None and not arm.top1.resolved


def _effect_sentence(arm: ArmResult) -> str:
    text = f"{arm.name} ({arm.factor_text}): {difference_text(arm.top1)} points ({interval_text(arm.top1)})"
    if arm.claim.top1 is None or arm.top1 is None:
        return f"{text}."
    low, high = arm.top1.interval or (arm.top1.mean, arm.top1.mean)
    inside = "inside" if low <= arm.claim.top1 <= high else "outside"
    return f"{text}; the paper's {arm.claim.top1:+.3g} is {inside} the interval."


def _ratio_sentence(comparison: Comparison, found: Convergence) -> str | None:
    """Say how many times the baseline's epochs an arm takes, beside the paper's; None if it is not known."""
    if found.ratio is None:
        return None
    ratio, interval = ratio_texts(found.ratio)
    text = (
        f"{found.arm.name} takes {ratio} times as many epochs as {comparison.baseline.name} to reach"
        f" {comparison.training_error:g}% training error ({interval})"
    )
    claimed = found.arm.claim.epochs_ratio
    if claimed is None or found.ratio.interval is None:
        return f"{text}."
    low, high = found.ratio.interval
    inside = "inside" if low <= claimed <= high else "outside"
    return f"{text}; the paper's {claimed:g} is {inside} the interval."


def _convergence_method(comparison: Comparison) -> list[str]:
    if not convergence(comparison):
        return []
    return [
        "Ratios are of mean epochs, with Fieller's interval (1954), which assumes independent runs. Epochs"
        " are interpolated between the ends of consecutive epochs, where the error on all training images was"
        " measured without augmentation or dropout. There is no ratio if a run did not reach the error."
    ]
