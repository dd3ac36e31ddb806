"""The one exception that means 'the user gave something we cannot use'."""

__all__ = ["UserError"]


class UserError(ValueError):
    """Bad input, told in one line: what is wrong, where, and what to do.

    Scripts print it on stderr without a traceback and exit with code 2.
    """
