"""A study with the runs of an earlier result of it: further seeds, made later or on another machine."""

from dataclasses import replace
from pathlib import Path

from alexnet.compare.archive import read_archive
from alexnet.compare.arms import Arms, differences, format_changes
from alexnet.errors import UserError
from alexnet.studies.folder import is_archive
from alexnet.studies.record import ARCHIVE, StudyRecord


def add_results(read: Arms, given: str) -> Arms:
    """Return the runs of a study with those of the result in the folder `given`, by arm.

    The record is that of the result, which has the pilot, with the seeds and the command of the study added.
    The study may have a part of the arms only. Raises `UserError` for arms that the result does not have, or
    has with other settings, and for seeds that it has already.
    """
    folder = Path(given).expanduser()
    if not is_archive(folder):
        raise UserError(f"add={given}: expected the folder of a result, with {ARCHIVE} in it.")
    earlier = read_archive(folder)
    record = _added_record(earlier.record, read.record, given)
    for arm, runs in read.arms.items():
        _check_arm(arm, earlier, read, given)
        earlier.arms.setdefault(arm, {}).update(runs)
    present = {f"{arm} seed={seed}" for arm, runs in earlier.arms.items() for seed in runs}
    return replace(
        earlier,
        arms={arm: dict(sorted(runs.items())) for arm, runs in earlier.arms.items()},
        excluded=[run for run in (*earlier.excluded, *read.excluded) if run.name not in present],
        record=record,
        diverged=earlier.diverged + read.diverged,
    )


def _added_record(earlier: StudyRecord | None, record: StudyRecord | None, given: str) -> StudyRecord:
    if earlier is None or record is None:
        raise UserError(
            f"add={given}: only results of studies can be added; these runs do not belong to one."
        )
    for arm, factors in record.arms.items():
        if earlier.arms.get(arm) != factors:
            raise UserError(f"add={given}: no arm {arm}. Its arms: {', '.join(earlier.arms)}.")
    seeds = {arm: sorted({*earlier.seeds[arm], *record.seeds.get(arm, [])}) for arm in earlier.arms}
    return replace(earlier, seeds=seeds, added=[*earlier.added, record.overrides, *record.added])


def _check_arm(arm: str, earlier: Arms, read: Arms, given: str) -> None:
    one, other = earlier.arms.get(arm, {}), read.arms[arm]
    if shared := one.keys() & other.keys():
        raise UserError(
            f"add={given}: already has seed {min(shared)} of {arm}. Run the study with other seeds: seed=<n>."
        )
    if one and other:
        settings = [next(iter(runs.values())).settings for runs in (one, other)]
        if changes := differences(*settings):
            raise UserError(
                f"add={given}: {arm} has different settings there; here it has {format_changes(changes)}."
                f" To use that result's rates: study.pilot.reuse={given}."
            )
