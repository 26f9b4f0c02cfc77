"""The position in a run that a checkpoint holds, as the state of Lightning's loops.

Lightning resumes a checkpoint made after a step without the next epoch's hooks, one made after an epoch's
last step without its validation, and skips ReduceLROnPlateau at the end of the epoch that it resumes.
So the checkpoints here hold one kind of position: an epoch begins, and some of its batches are done.
"""

from typing import Any

from lightning import Trainer

COUNTS = ("ready", "started", "processed", "completed")


def batches_done(trainer: Trainer) -> int:
    """Return, as an epoch begins, how many of its batches were done before the run was stopped."""
    fit_loop = trainer.fit_loop
    return fit_loop.epoch_loop.batch_progress.current.completed if fit_loop.is_resuming else 0


def set_loop_position(loops: dict[str, Any], epoch: int, done: int, batches: int) -> None:
    """Set the loops' state in a checkpoint to `done` of the `batches` of `epoch`.

    If all of them are done, only the epoch's validation is left.
    """
    fit_loop = loops["fit_loop"]
    total = epoch * batches + done
    epochs = dict.fromkeys(COUNTS, epoch) | {"ready": epoch + 1}
    fit_loop["epoch_progress"] |= {"total": dict(epochs), "current": dict(epochs)}
    fit_loop["epoch_loop.batch_progress"] |= {
        "total": dict.fromkeys(COUNTS, total),
        "current": dict.fromkeys(COUNTS, done),
        "is_last_batch": False,
    }
    validating = done == batches  # to Lightning: interrupted in its first batch
    begun = {"ready": 1, "started": 1} if validating else {}
    fit_loop["epoch_loop.val_loop.batch_progress"] |= {
        "total": dict.fromkeys(COUNTS, 0) | begun,
        "current": dict.fromkeys(COUNTS, 0),
        "is_last_batch": False,
    }
    # the step of the last batch is counted after its validation
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = total - validating


def resume_loops(trainer: Trainer) -> None:
    """Resume from such a position. Call this as the first epoch begins."""
    fit_loop = trainer.fit_loop
    if not fit_loop.is_resuming:
        return
    fit_loop.restarting = False  # the epoch ends as any other
    fit_loop.epoch_loop.restarting = batches_done(trainer) > 0
