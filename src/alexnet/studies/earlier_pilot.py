"""The pilot of an earlier study, whose choices another study reuses."""

from pathlib import Path

from alexnet.config.study import PilotConfig
from alexnet.errors import UserError
from alexnet.studies.design import Plan
from alexnet.studies.record import StudyRecord, read_record


def read_earlier_pilot(pilot: PilotConfig | None, plan: Plan) -> StudyRecord | None:
    """Return the record whose pilot is reused; None where none is.

    Raises `UserError` where it chose nothing for an arm, and for a seed that is one of its own.
    """
    if pilot is None or pilot.reuse is None:
        return None
    given = f"study.pilot.reuse={pilot.reuse}"
    record = read_record(Path(pilot.reuse).expanduser())
    if record is None or not record.chosen:
        raise UserError(f"{given}: expected the folder of a study that had a pilot, or of its results.")
    if missing := [arm for arm in plan.arms if arm not in record.chosen]:
        raise UserError(
            f"{given}: its pilot chose nothing for {', '.join(missing)}. Arms: {', '.join(record.chosen)}."
        )
    used = {seed for seeds in plan.seeds.values() for seed in seeds}
    if shared := used & {trial.seed for trial in record.trials}:
        raise UserError(
            f"{given}: seed {min(shared)} was used by its pilot. The study needs others: seed=<n>."
        )
    return record
