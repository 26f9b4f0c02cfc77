"""What a reader must know before believing a comparison's numbers, in sentences."""

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.model_diffs import NAME_KEY
from alexnet.compare.pairing import precisions_differ, same_code

FEW_PAIRS = 5  # with fewer pairs, Student's t is wide


def notes(comparison: Comparison) -> list[str]:
    """Return all notes that apply to these runs."""
    return [
        *_notes_on_intervals(comparison),
        *_notes_on_learning(comparison),
        *_notes_on_factors(comparison),
        *_notes_on_conditions(comparison),
    ]


def _notes_on_intervals(comparison: Comparison) -> list[str]:
    lines, arms, confidence = [], comparison.arms, comparison.confidence
    pairs = min(len(arm.runs) for arm in arms)
    if pairs < FEW_PAIRS:
        lines.append(
            f"Few seeds: an arm has only {pairs} pair{'s' if pairs > 1 else ''}. Intervals from fewer"
            f" than {FEW_PAIRS} pairs are wide, and rest on differences being normally distributed."
        )
    if len(arms) > 1:
        expected = len(arms) * (1 - confidence)
        family = "" if comparison.family.refusal else f" {_family_wise(comparison)}"
        lines.append(
            f"{len(arms)} arms, each with its own {confidence:.0%} interval: where no arm had"
            f" any effect, about {expected:.2g} of them would still be called resolved.{family}"
        )
    if comparison.family.refusal:
        lines.append(f"No family-wise intervals (Dunnett): {comparison.family.refusal}.")
    return lines


def _family_wise(comparison: Comparison) -> str:
    """Name the arms that are resolved by their family-wise intervals, and those that no longer are."""
    names = [arm.name for arm in comparison.arms]
    resolved = [arm.name for arm in comparison.arms if arm.top1 and arm.top1.resolved]
    stay = [name for name in resolved if comparison.family.resolved(name)]
    lost = [name for name in resolved if name not in stay]
    gained = [name for name in names if name not in resolved and comparison.family.resolved(name)]
    parts = [
        f"still resolved: {', '.join(stay)}" if stay else "",
        f"no longer resolved: {', '.join(lost)}" if lost else "",
        f"resolved only by these: {', '.join(gained)}" if gained else "",
    ]
    return f"By the family-wise intervals (Dunnett), {'; '.join(filter(None, parts)) or 'none is resolved'}."


def _notes_on_learning(comparison: Comparison) -> list[str]:
    runs = [(arm.name, run) for arm in comparison.all_variants for run in arm.runs]
    at_chance = [f"{name} seed={run.seed}" for name, run in runs if not run.started]
    if not at_chance:
        return []
    return [
        f"{len(at_chance)} of the {len(runs)} runs ended at chance ({', '.join(at_chance)}). Their"
        " differences tell whether training starts, not what the factor is worth once it has: see"
        " model.init and optimizer.lr."
    ]


def _notes_on_factors(comparison: Comparison) -> list[str]:
    lines = []
    other_models = [arm for arm in comparison.arms if NAME_KEY in arm.reported]
    if other_models:
        names = ", ".join(dict.fromkeys(arm.network for arm in (comparison.baseline, *other_models)))
        lines.append(
            f"Not one factor: these are different models ({names}). A difference is that of everything"
            " that sets two of them apart; the report lists it under Settings."
        )
    lines += [line for arm in comparison.arms if (line := _note_on_keys(arm))]
    without = [arm.name for arm in comparison.all_variants if not arm.has_epochs]
    if without:
        lines.append(
            f"Without epochs: {', '.join(without)}. Their images/s are training images over the time to"
            " compute their features and to fit the classifier. Nothing in them is random: one of their runs"
            " stands for every seed."
        )
    return lines


def _note_on_keys(arm: ArmResult) -> str | None:
    """Name the keys, where an arm changes more than one."""
    keys = [key for key in arm.reported if key != NAME_KEY]
    if NAME_KEY in arm.reported and keys:
        return f"{arm.name} is another model, and differs in {', '.join(keys)} as well."
    if len(keys) > 1:
        return f"{arm.name} changes {len(keys)} keys; the difference is that of all together."
    return None


def _notes_on_conditions(comparison: Comparison) -> list[str]:
    """Name what differs between the runs besides the factor."""
    first, runs = comparison.baseline.runs[0], [run for arm in comparison.all_variants for run in arm.runs]
    lines = []
    if any(run.data_fingerprint != first.data_fingerprint for run in runs):
        lines.append("The runs differ in their data, as allowed.")
    if len({run.epochs for run in runs} - {None}) > 1:
        lines.append("The runs differ in how long they trained, as allowed.")
    trained = [run for run in runs if run.epochs is not None]
    if any(precisions_differ(run, trained[0]) for run in trained):
        lines.append("The runs differ in their precision, as allowed.")
    if not all(same_code(run.code, first.code) for run in runs):
        lines.append("The runs differ in their code, as allowed.")
    if first.code.commit is None:
        lines.append("These runs do not record with which code they were made.")
    for what, values in (
        ("hardware, so that their speeds say little", {run.hardware for run in runs}),
        ("versions of torch", {str(run.torch) for run in runs}),
    ):
        if len(values) > 1:
            lines.append(f"The runs differ in their {what}: {'; '.join(sorted(values))}.")
    return lines
