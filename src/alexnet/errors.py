"""What a user can mend, and how an error that this program has not raised is told in one line."""

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


class UserError(Exception):
    """Something that the user can mend: what is wrong, where, and what to do, in one line.

    Entry points print it without a stack trace and exit with status 1. Anything else that
    escapes is a bug and keeps its stack trace.
    """


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, of this process or of torch, says that there is no more memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(said in text for said in NO_MEMORY)
    )


def explain_failure(problem: BaseException) -> str | None:
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
