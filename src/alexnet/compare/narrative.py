"""Headline, captions and method of a comparison, in sentences."""

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.tables import difference_text, interval_text

CAPTIONS = {
    "history": (
        "History",
        "Validation top-1 error, features made by hand first, then networks by their year of publication: a"
        " dot for each seed, and their mean with its interval by Student's t. On the left the"
        " year, on the right the parameters, and the images a second in training.",
    ),
    "effects": (
        "Differences",
        "Right of zero the arm errs more than the baseline. A hollow mark is not resolved; an arrow is an"
        " interval that continues outside the chart or, with a number, an arm that lies outside it.",
    ),
    "learning_curves": (
        "Learning curves",
        "Validation error of each arm beside the baseline, mean over the seeds; the band is from the lowest"
        " to the highest seed.",
    ),
    "cost": (
        "Cost against benefit",
        "Up: the arm errs more, so that what it leaves out was worth having. Right: it trains faster. An"
        " arrow is an arm that lies outside the chart; its number stands behind its name.",
    ),
}


def headline(comparison: Comparison) -> list[str]:
    """Summarize the result in a few sentences."""
    resolved = [arm for arm in comparison.arms if arm.top1 and arm.top1.resolved]
    epochs = "" if comparison.epochs is None else f"{comparison.epochs} epochs, "
    sentences = [
        f"{len(comparison.arms)} {'arm' if len(comparison.arms) == 1 else 'arms'} against"
        f" {comparison.baseline.name} ({comparison.baseline_rule}), on {comparison.split},"
        f" {epochs}seeds {', '.join(str(run.seed) for run in comparison.baseline.runs)};"
        f" the baseline's top-1 error is {comparison.baseline.mean(lambda run: run.top1_error):.2f}%.",
        f"Resolved differences in top-1 error: {len(resolved)} of {len(comparison.arms)}.",
    ]
    sentences += [_effect_sentence(arm) for arm in resolved]
    return sentences


def method(comparison: Comparison) -> list[str]:
    """Explain how the numbers were made, and what they leave out."""
    first = comparison.baseline.runs[0]
    sentences = [
        "A difference is the error of an arm minus that of the baseline with the same seed, in percentage"
        " points, after the last epoch; the mean over the seeds is shown. Above zero, the arm errs more.",
        f"The interval is a two-sided {comparison.confidence:.0%} interval of that mean by Student's t on the"
        " paired differences. It covers the spread between seeds, on these validation images; other images"
        " would add theirs. Where it contains zero, the difference is not resolved.",
    ]
    if comparison.family.intervals:
        sentences.append(
            f"With {comparison.confidence:.0%} confidence the family-wise intervals hold the true differences"
            " of all arms at once (Dunnett, 1955). They compare means without pairing the seeds, and take the"
            " spread between seeds to be the same in all arms."
        )
    return [
        *sentences,
        "Claims are written as differences too, arm minus baseline. Each compares single runs, on another"
        " data set or split than this one: size and sign are comparable, digits are not.",
        f"Epochs to {comparison.training_error:g}% count up to the first epoch whose top-1 error in training,"
        " with dropout and augmentation on, is no higher; in brackets, how many times the baseline's. It is"
        " the measure of the paper's Figure 1, whose networks had no regularisation, each with the learning"
        " rate that made its training fastest.",
        "Peak MB is the most memory that a run took, in millions of bytes: on the CPU that of the whole"
        " process, on a GPU that of its tensors there.",
        f"Data {first.data_fingerprint}, code {first.code}, torch {first.torch}, {first.hardware}.",
    ]


def _effect_sentence(arm: ArmResult) -> str:
    text = f"{arm.name} ({arm.factor_text}): {difference_text(arm.top1)} points ({interval_text(arm.top1)})"
    if arm.claim.top1 is None or arm.top1 is None:
        return f"{text}."
    low, high = arm.top1.interval or (arm.top1.mean, arm.top1.mean)
    inside = "inside" if low <= arm.claim.top1 <= high else "outside"
    return f"{text}; the paper's {arm.claim.top1:+.3g} is {inside} the interval."
