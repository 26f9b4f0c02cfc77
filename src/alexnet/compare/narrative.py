"""Headline, captions and method of a comparison, in sentences."""

from collections.abc import Iterable
from itertools import chain

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import Convergence, convergence
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.tables import bound_text, difference_text, interval_text, ratio_texts

CAPTIONS = {
    "history": (
        "History",
        "Validation top-1 error: features made by hand first, then networks by year of publication. A dot is"
        " a seed, a diamond their mean with its interval by Student's t. On the right stand the parameters,"
        " and the images a second in training.",
    ),
    "effects": (
        "Differences",
        "Right of zero, the change makes the error higher. A hollow mark is not resolved. An arrow is an"
        " interval that continues beyond the chart or, with a number, a difference outside it.",
    ),
    "training_error": (
        "Training error",
        "Error on all training images, without augmentation and dropout, over the epochs that it takes to"
        " reach it: mean and range over the seeds. The dotted line is the error up to which epochs are"
        " compared.",
    ),
    "learning_curves": (
        "Learning curves",
        "Validation error of each arm beside the baseline: mean over the seeds. The band runs from the lowest"
        " to the highest seed.",
    ),
    "pareto": (
        "Effects by size",
        "Main effects and interactions, averaged over the others, with the largest on top. A bar that goes"
        " beyond the mark in its row is resolved; hollow bars are not.",
    ),
    "interactions": (
        "The largest interactions",
        "Mean top-1 error in the four combinations of two factors. Parallel lines mean that their effects add"
        " up.",
    ),
    "cost": (
        "Cost against benefit",
        "Higher up, the arm has a higher error, so what it leaves out was worth having. Further right, it"
        " trains faster. An arrow is an arm outside the chart; its difference follows its name.",
    ),
}


SHARED_METHOD = [
    "Started: the top-1 error after the last epoch is clearly below that of chance. Its interval is the exact"
    " one of Clopper and Pearson. SD of seeds is the standard deviation of the top-1 error over the runs that"
    " started; binomial SE the standard error of the validation set, sqrt(p (1 - p) / images), which all runs"
    " share.",
    "Claims are written as differences too, arm minus baseline. Each compares single runs, on another"
    " data set or split than this one: size and sign are comparable, digits are not.",
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
    epochs = "" if comparison.epochs is None else f"{comparison.epochs} epochs, "
    seeds = {run.seed for arm in comparison.all_variants for run in arm.runs}
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
        "A difference is the error of an arm minus that of the baseline, in percentage points, after the last"
        " epoch; above zero, the arm's error is higher. Runs that did not start are left out.",
        f"The interval is a two-sided {confidence:.0%} interval by Student's t: of the difference of two"
        " means, with the variance of runs pooled over arms; or of the mean difference between runs of the"
        " same seed. It covers the spread between seeds, on these validation images; other images would add"
        " theirs. Where it contains zero, the difference is not resolved. Equal differences have no spread,"
        " and no interval.",
        '"Better" is the share of pairs of runs, one of the arm and one of the baseline, in which the arm'
        " has the lower error; ties count half (Mann and Whitney's U).",
    ]
    if comparison.family.intervals:
        sentences.append(
            f"With {confidence:.0%} confidence the family-wise intervals hold the true differences"
            " of all arms at once (Dunnett, 1955). They compare means without pairing the seeds, and take the"
            " spread between seeds to be the same in all arms."
        )
    return [
        *sentences,
        *SHARED_METHOD,
        *_convergence_method(comparison),
        f"Epochs to {comparison.training_error:g}% count up to the first epoch whose top-1 error in training,"
        " with dropout and augmentation on, is no higher; in brackets, how many times the baseline's. It is"
        " the measure of the paper's Figure 1, whose networks had no regularisation, each with the learning"
        " rate that made its training fastest.",
        *conditions(comparison),
    ]


def conditions(comparison: Comparison) -> list[str]:
    """Say how memory is counted, and with which data, code and hardware the runs were made."""
    first = comparison.baseline.runs[0]
    return [
        "Peak MB is the most memory that a run took, in millions of bytes: on the CPU that of the whole"
        " process, on a GPU that of its tensors there.",
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
        f"{found.arm.name} takes {ratio} times the epochs of {comparison.baseline.name} to"
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
        "Ratios of epochs are those of their means, with Fieller's interval (1954), which takes the arms'"
        " runs to be independent. Epochs are interpolated between the ends of two, where all training images"
        " were evaluated without augmentation and dropout. There is no ratio where a run did not reach the"
        " error."
    ]
