"""The exceptions that mean 'the user gave something we cannot use'."""

__all__ = ["UserError"]


class UserError(ValueError):
    """Bad input, told in one line: what is wrong, where, and what to do.

    Scripts print it on stderr without a traceback and exit with code 2.

    Args:
        message: the line; it names no options, which are the scripts'.
        remedy: what helps, where a script has an option for it: a key of `core.cli.REMEDIES`.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
