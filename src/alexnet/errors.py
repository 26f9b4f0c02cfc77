"""The one exception that means "the user can mend this", and how to tell want of memory."""

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
