"""What a user is told of an error that no line of this program has raised."""

import errno

import torch

NO_MEMORY = ("can't allocate memory", "not enough memory", "cannot allocate memory")


def explain(problem: BaseException) -> str | None:
    """What is wrong and what to do, in one line; None for what only a bug explains."""
    if isinstance(problem, MemoryError | torch.OutOfMemoryError) or (
        isinstance(problem, RuntimeError) and any(text in str(problem).lower() for text in NO_MEMORY)
    ):
        return (
            "Out of memory. What takes less: a smaller data.batch_size or model.width, fewer data.workers,"
            " more devices (trainer.devices), trainer.precision=bf16-mixed on a GPU."
        )
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        return f"{where}{problem.strerror}.{' Make room, then go on with resume=.' if full else ''}"
    return None
