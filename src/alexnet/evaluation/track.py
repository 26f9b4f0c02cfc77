"""The results of an evaluation in the run's own W&B run."""

from pathlib import Path

from alexnet.errors import UserError
from alexnet.evaluation.evaluation import Evaluation
from alexnet.evaluation.report import PICTURES
from alexnet.progress import console
from alexnet.run.resume import is_running, read_config
from alexnet.run.tracking import add_to_run, has_wandb_run


def track(found: Evaluation, folder: Path) -> None:
    """Add figures and pictures to the W&B run of the run that was evaluated, where it has one."""
    run = found.members[0].run
    if run is None or not has_wandb_run(run):
        return
    if is_running(run):
        console.print("W&B       not told: this run is being trained", style="yellow")
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
    try:
        where = add_to_run(run, read_config(run), summary, pictures)
    except UserError as error:  # wandb is not installed: the folder has it all
        where = str(error)
    if where:
        console.print(f"W&B       {where}", markup=False)
