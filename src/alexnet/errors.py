"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """Something that the user can mend: what is wrong, where, and what to do, in one line.

    Entry points print it without a stack trace and exit with status 1. Anything else that
    escapes is a bug and keeps its stack trace.
    """
