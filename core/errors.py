"""The exceptions that mean 'the user gave something we cannot use'."""

from collections.abc import Collection


class UserError(ValueError):
    """Bad input, in one line without names of options: what is wrong, where, and what to do.

    Scripts print it on stderr and exit with code 2. `remedy`, a key of `core.cli.REMEDIES`, is what an option
    of theirs can do about it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raises a UserError unless a name, of a variation or a protocol, is known."""
    if name not in known:
        raise UserError(f"unknown {kind} '{name}'; one of {', '.join(known)}")
