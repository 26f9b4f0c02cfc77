"""Arms paired with the baseline by seed, where nothing but the factor differs."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from alexnet.compare.arms import Arms, differences, format_value
from alexnet.compare.runs import Code, Run
from alexnet.config import ComparabilityKey
from alexnet.errors import UserError
from alexnet.paths import PROJECT

Pairs = list[tuple[Run, Run]]  # arm, baseline: of the same seed


def pair(groups: Arms, allow: Iterable[ComparabilityKey] = ()) -> dict[str, Pairs]:
    """Pair each arm's runs with the baseline's of the same seed, in order of seed; an arm may have no pair.

    An arm without runs is left out. Raises `UserError` where nothing is left, or where two runs differ in
    more than the factor and `allow` does not say that they may.
    """
    baseline = groups.arms[groups.baseline]
    if not baseline:
        raise UserError(f"Nothing to pair: {groups.baseline} has no completed run.{first_reason(groups)}")
    arms = {name: runs for name, runs in groups.arms.items() if name != groups.baseline}
    pairs = {
        name: [(runs[seed], baseline[seed]) for seed in sorted(runs.keys() & baseline.keys())]
        for name, runs in arms.items()
        if runs
    }
    if not any(pairs.values()):
        raise UserError(
            f"Nothing to pair: no arm shares a seed with {groups.baseline}.{first_reason(groups)}"
        )
    check_comparable(groups, allow)
    return pairs


def check_comparable(groups: Arms, allow: Iterable[ComparabilityKey] = ()) -> None:
    """Raise `UserError` where two runs differ in more than their arms' factors and `allow` forbids it.

    What the pilot of a study may choose, it may choose for each arm.
    """
    by_arm = {groups.baseline: groups.arms.get(groups.baseline, {}), **groups.arms}
    for name, runs in by_arm.items():
        _check_one_arm(name, runs)
    named = [
        (f"{name} seed={seed}", run) for name, runs in by_arm.items() for seed, run in sorted(runs.items())
    ]
    allowed = {*allow, *_left_to_the_pilot(groups)}
    _check_equal(named, _data_and_code, allowed)
    _check_equal([(name, run) for name, run in named if run.epochs is not None], _training, allowed)


def _left_to_the_pilot(groups: Arms) -> Iterator[ComparabilityKey]:
    if "trainer.max_epochs" in groups.tuned_keys:
        yield ComparabilityKey.epochs


def _check_one_arm(name: str, runs: dict[int, Run]) -> None:
    """Raise `UserError` unless the seeds of an arm are one experiment."""
    first = next(iter(runs.values()), None)
    for run in runs.values():
        assert first is not None
        if changed := differences(first.settings, run.settings):
            key, (one, other) = next(iter(changed.items()))
            more = f", and {len(changed) - 1} more keys" if len(changed) > 1 else ""
            raise UserError(
                f"Cannot compare: within {name}, seed={first.seed} and seed={run.seed} differ in {key}"
                f" ({format_value(one)}, {format_value(other)}){more}."
                " Runs of an arm may differ only in their seed."
            )


def _check_equal(
    named: list[tuple[str, Run]],
    differing: Callable[[Run, Run], Iterator[tuple[ComparabilityKey, str]]],
    allow: set[ComparabilityKey],
) -> None:
    """Raise `UserError` where a run differs from the first of them in something that is not allowed."""
    for name, run in named:
        first_name, first = named[0]
        for kind, text in differing(run, first):
            if kind not in allow:
                raise UserError(
                    f"Cannot compare: {name} and {first_name} differ in {text};"
                    f" {run.path} and {first.path}. If this does not matter: allow=[{kind.value}]"
                )


def _data_and_code(run: Run, other: Run) -> Iterator[tuple[ComparabilityKey, str]]:
    """Yield the differences in what must be the same in all runs."""
    if run.data_fingerprint != other.data_fingerprint:
        fingerprints = f"fingerprints {run.data_fingerprint} and {other.data_fingerprint}"
        yield ComparabilityKey.data, f"the data ({fingerprints})"
    elif val_images_differ(run, other):
        yield ComparabilityKey.data, f"the validation images ({run.val_samples} and {other.val_samples})"
    if not same_code(run.code, other.code):
        yield ComparabilityKey.code, f"the code ({run.code}, and {other.code})"


def _training(run: Run, other: Run) -> Iterator[tuple[ComparabilityKey, str]]:
    """Yield the differences in what must be the same in all runs that have epochs."""
    planned = [str(one.settings.get("trainer.max_epochs", one.epochs)) for one in (run, other)]
    if run.epochs != other.epochs and not (run.may_end_early and other.may_end_early):
        yield ComparabilityKey.epochs, f"the epochs trained ({run.epochs} and {other.epochs})"
    if planned[0] != planned[1]:
        yield ComparabilityKey.epochs, f"trainer.max_epochs ({planned[0]} and {planned[1]})"
    if precisions_differ(run, other):
        yield ComparabilityKey.precision, f"the precision ({run.precision}, and {other.precision})"


def val_images_differ(run: Run, other: Run) -> bool:
    """Return whether errors were measured on different numbers of images, as by trainer.limit_val_batches.

    Of the same data set, equal numbers are the same images: a validation goes through them in one order.
    """
    counts = {run.val_samples, other.val_samples} - {None}  # unknown for the oldest runs
    return len(counts) > 1


def precisions_differ(run: Run, reference: Run) -> bool:
    """Return whether trainer.precision=auto gave them different precisions; one asked for is a factor."""
    asked = {one.settings.get("trainer.precision") for one in (run, reference)}
    return asked == {"auto"} and run.precision != reference.precision


def same_code(one: Code, other: Code) -> bool:
    """Return whether src/ was the same: equal commits and changes, or commits that did not touch it."""
    if one.changes != other.changes:
        return False
    if one.commit == other.commit:
        return True
    trees = [_source_tree(code.commit) for code in (one, other)]
    return trees[0] is not None and trees[0] == trees[1]


@cache
def _source_tree(commit: str | None) -> str | None:
    """Return Git's hash of src/ at a commit; None where this checkout does not have the commit."""
    command = ["git", "rev-parse", "--verify", "--quiet", f"{commit}:src"]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def first_reason(groups: Arms) -> str:
    """Return why the first of the runs that do not count does not, to end a message with."""
    if not groups.excluded:
        return ""
    first = groups.excluded[0]
    return f" {first.name}: {first.reason}."
