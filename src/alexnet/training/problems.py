"""What a user is told of an error that no line of this program has raised."""

from alexnet.errors import lacks_memory


def explain(problem: BaseException) -> str | None:
    """What is wrong and what to do, in one line; None for what only a bug explains."""
    if lacks_memory(problem):
        return (
            "Out of memory. What takes less: a smaller data.batch_size or model.width, fewer data.workers,"
            " more devices (trainer.devices), trainer.precision=bf16-mixed on a GPU."
        )
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror}."
    return None
