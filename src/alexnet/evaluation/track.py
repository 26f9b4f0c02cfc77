"""The results of an evaluation in the run's own W&B run."""

from pathlib import Path

from alexnet.evaluation.evaluation import Evaluation
from alexnet.evaluation.report import PICTURES
from alexnet.run.later_results import track_results


def track(found: Evaluation, folder: Path) -> None:
    """Add figures and pictures to the W&B run of the run that was evaluated, where it has one."""
    run = found.members[0].run
    if run is None:
        return
    summary = {
        f"eval/{kind.value}/{name}": value
        for kind, verdict in found.subject.items()
        for name, value in verdict.figures._asdict().items()
        if value is not None
    }
    pictures = {
        f"eval/{name}": folder / f"{name}.png" for name in PICTURES if (folder / f"{name}.png").is_file()
    }
    track_results(run, summary, pictures)
