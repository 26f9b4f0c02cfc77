"""What a reader must know before believing a comparison's numbers, in sentences."""

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.model_diffs import NAME_KEY
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.pairing import precisions_differ, same_code, val_images_differ
from alexnet.compare.pooling import Pool, left_out_text
from alexnet.compare.speed_notes import speed_notes
from alexnet.terminal import counted

FEW_PAIRS = 5  # with fewer pairs, Student's t is wide


def notes(comparison: OneAtATime) -> list[str]:
    """Return all notes that apply to these runs."""
    return [
        *_notes_on_estimates(comparison),
        *_notes_on_intervals(comparison),
        *notes_on_starts(comparison),
        *_notes_on_factors(comparison),
        *notes_on_conditions(comparison),
        *speed_notes(comparison),
    ]


def _notes_on_estimates(comparison: OneAtATime) -> list[str]:
    """Say which differences are paired and which have the pooled variance, and why."""
    top1, top5 = (estimate_text(one) for one in (comparison.pool, comparison.top5_pool))
    lines = [f"Differences and intervals are {top1}."]
    alike = (comparison.pool.variance is None) == (comparison.top5_pool.variance is None)
    if any(arm.top5 for arm in comparison.arms) and not alike:
        lines.append(f"Those of the top-5 error are {top5}.")
    return lines


def estimate_text(pool: Pool) -> str:
    """Say whether differences are paired or have the pooled variance, and why."""
    if pool.variance is None:
        return f"paired by seed, each with its own variance. Not pooled: {pool.refusal}"
    variance, paired = pool.variance, left_out_text(pool).removeprefix("without ")
    without = f". Paired by seed: {paired}" if paired else ""
    return (
        "unpaired, over all seeds, with the variance pooled over the baseline and"
        f" {counted(len(pool.arms), 'arm')}: standard deviation {variance.deviation:.2f} points,"
        f" {variance.freedom} degrees of freedom. Levene's test does not reject equal variances{without}"
    )


def _notes_on_intervals(comparison: OneAtATime) -> list[str]:
    lines, arms, confidence = [], comparison.arms, comparison.confidence
    paired = [arm.pairs for arm in arms if arm.top1_difference.pooled is None and arm.pairs]
    if paired and min(paired) < FEW_PAIRS:
        lines.append(
            f"Few seeds: an arm has only {counted(min(paired), 'pair')}. Intervals from fewer"
            f" than {FEW_PAIRS} pairs are wide, and assume normally distributed differences."
        )
    if len(arms) > 1:
        expected = len(arms) * (1 - confidence)
        family = "" if comparison.family.refusal else f" {_family_wise(comparison)}"
        lines.append(
            f"{len(arms)} arms, each with its own {confidence:.0%} interval: even if no arm had any"
            f" effect, about {expected:.2g} of them would be called resolved.{family}"
        )
    if refusal := comparison.family.refusal:
        reason = ", for the same reason" if refusal == comparison.pool.refusal else f": {refusal}"
        lines.append(f"No family-wise intervals (Dunnett){reason}.")
    return lines


def _family_wise(comparison: OneAtATime) -> str:
    """Name the arms that are resolved by their family-wise intervals, and those that no longer are."""
    family = comparison.family.intervals
    resolved = [arm.name for arm in comparison.arms if arm.name in family and arm.top1 and arm.top1.resolved]
    stay = [name for name in resolved if comparison.family.resolved(name)]
    lost = [name for name in resolved if name not in stay]
    without = left_out_text(comparison.pool).removeprefix("without ")
    parts = [
        f"still resolved: {', '.join(stay)}" if stay else "",
        f"no longer resolved: {', '.join(lost)}" if lost else "",
    ]
    result = "; ".join(filter(None, parts)) or "none is resolved"
    exception = f"; not included: {without}" if without else ""
    return f"With family-wise intervals (Dunnett), {result}{exception}."


def notes_on_starts(comparison: Comparison) -> list[str]:
    """Name the runs that did not start, and say that they are in no mean."""
    runs = [(arm.name, run) for arm in comparison.all_variants for run in arm.runs]
    at_chance = [f"{name} seed={run.seed}" for name, run in runs if not run.started]
    if not at_chance:
        return []
    return [
        f"{len(at_chance)} of the {len(runs)} runs ended at chance ({', '.join(at_chance)}): they did not"
        " start. They count in start rates, but not in means or differences; see model.init and"
        " optimizer.lr."
    ]


def _notes_on_factors(comparison: OneAtATime) -> list[str]:
    lines = []
    other_models = [arm for arm in comparison.arms if NAME_KEY in arm.reported]
    if other_models:
        names = ", ".join(dict.fromkeys(arm.network for arm in (comparison.baseline, *other_models)))
        lines.append(
            f"These are different models ({names}), not one changed factor. A difference is the effect of"
            " everything in which two models differ; the report lists it under Settings."
        )
    lines += [line for arm in comparison.arms if (line := _note_on_keys(arm))]
    tuned = [f"{arm.name} {arm.tuned_text}" for arm in comparison.arms if arm.tuned]
    if tuned:
        lines.append(
            f"The pilot chose other values than for {comparison.baseline.name}: {'; '.join(tuned)}."
            " Differences compare each arm at its own best. Intervals take these values as given, and do not"
            " include the uncertainty of the pilot."
        )
    without = [arm.name for arm in comparison.all_variants if not arm.has_epochs]
    if without:
        lines.append(
            f"Without epochs: {', '.join(without)}. Images/s are training images divided by the time to"
            " compute the features and fit the classifier. These arms are deterministic: one run stands for"
            " every seed."
        )
    return lines


def _note_on_keys(arm: ArmResult) -> str | None:
    """Name the keys, where an arm changes more than one beside what the pilot chose."""
    keys = [key for key in arm.reported if key != NAME_KEY]
    if NAME_KEY in arm.reported and keys:
        return f"{arm.name} is a different model, and also differs in {', '.join(keys)}."
    if len(keys) > 1:
        return f"{arm.name} changes {len(keys)} keys; the difference is their combined effect."
    return None


def notes_on_conditions(comparison: Comparison) -> list[str]:
    """Name what differs between the runs besides the factor."""
    first, runs = comparison.baseline.runs[0], [run for arm in comparison.all_variants for run in arm.runs]
    lines = []
    if any(run.data_fingerprint != first.data_fingerprint or val_images_differ(run, first) for run in runs):
        lines.append("The runs differ in their data, as allowed.")
    trained = [run for run in runs if run.epochs is not None]
    if len({run.epochs for run in trained}) > 1 and not all(run.may_end_early for run in trained):
        lines.append("The runs differ in how long they trained, as allowed.")
    trained = [run for run in runs if run.epochs is not None]
    if any(precisions_differ(run, trained[0]) for run in trained):
        lines.append("The runs differ in their precision, as allowed.")
    if not all(same_code(run.code, first.code) for run in runs):
        lines.append("The runs differ in their code, as allowed.")
    if first.code.commit is None:
        lines.append("These runs do not record which code made them.")
    for what, values in (
        ("hardware, so speeds are not comparable", {run.hardware for run in runs}),
        ("torch version", {str(run.torch) for run in runs}),
    ):
        if len(values) > 1:
            lines.append(f"The runs differ in {what}: {'; '.join(sorted(values))}.")
    return lines
