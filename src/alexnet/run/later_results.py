"""What is found out about a run after its end, in the run's own W&B run."""

import os
from pathlib import Path
from typing import Any

from alexnet.errors import UserError
from alexnet.progress import console
from alexnet.run.resume import is_running, read_config
from alexnet.run.tracking import add_to_run, has_wandb_run


def track_results(run: Path, summary: dict[str, Any], pictures: dict[str, Path]) -> None:
    """Add to summary and pictures of the W&B run that a run's folder has, if it has one, and say where."""
    if not has_wandb_run(run) or os.environ.get("WANDB_MODE") == "disabled":
        return
    if is_running(run):
        console.print("W&B       not told: this run is being trained", style="yellow")
        return
    try:
        where = add_to_run(run, read_config(run), summary, pictures)
    except UserError as error:  # wandb is not installed: the folder has it all
        where = str(error)
    if where:
        console.print(f"W&B       {where}", markup=False)
