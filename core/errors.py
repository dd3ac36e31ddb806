"""The exceptions that mean 'the user gave something we cannot use'."""

__all__ = ["CannotGoOnError", "UserError"]


class UserError(ValueError):
    """Bad input, told in one line: what is wrong, where, and what to do.

    Scripts print it on stderr without a traceback and exit with code 2.
    """


class CannotGoOnError(UserError):
    """A run that was broken off cannot go on as what was asked for: it must be begun anew.

    How, a script may add: that is an option of its own.
    """
