"""Where in a run a checkpoint was made, in Lightning's terms.

Lightning goes on from a checkpoint that is made after a step with the next epoch's hooks left out, after
an epoch's last step without its validation, and leaves ReduceLROnPlateau out at the end of the
epoch that it goes on with. So here a checkpoint says one thing only: the current epoch begins, and so
many of its batches are done.
"""

from typing import Any

from lightning import Trainer

COUNTS = ("ready", "started", "processed", "completed")


def batches_done(trainer: Trainer) -> int:
    """As an epoch begins: its batches that were trained on before the run was stopped."""
    fit_loop = trainer.fit_loop
    return fit_loop.epoch_loop.batch_progress.current.completed if fit_loop.is_resuming else 0


def set_loop_position(loops: dict[str, Any], epoch: int, done: int, batches: int) -> None:
    """Make the loops' state in a checkpoint say that `done` of the `batches` of `epoch` are done.

    With all of them done what is left of the epoch is its validation.
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
    validating = done == batches  # interrupted in its first batch, for Lightning
    begun = {"ready": 1, "started": 1} if validating else {}
    fit_loop["epoch_loop.val_loop.batch_progress"] |= {
        "total": dict.fromkeys(COUNTS, 0) | begun,
        "current": dict.fromkeys(COUNTS, 0),
        "is_last_batch": False,
    }
    # the step of the last batch is counted after its validation
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = total - validating


def resume_loops(trainer: Trainer) -> None:
    """Go on from such a checkpoint; to be called as the first epoch begins."""
    fit_loop = trainer.fit_loop
    if not fit_loop.is_resuming:
        return
    fit_loop.restarting = False  # the epoch ends as any other
    fit_loop.epoch_loop.restarting = batches_done(trainer) > 0
