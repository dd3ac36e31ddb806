"""Writing files so that a reader never sees half of one."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

__all__ = ["beside", "remove_parts", "write_file"]


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A name of one's own in the folder of `target`, to be written and renamed with `os.replace`.

    Whatever still bears that name at the end is removed. The name ends as the target's does.
    """
    part = target.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}-{target.name}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Removes what killed processes left of `beside`, where nobody else writes now."""
    for part in folder.glob(".part-*"):
        part.unlink()


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file beside `target`, then renames it to `target`.

    Raises:
        UserError: that failed; what was there is still there.
    """
    try:
        with beside(target) as part:
            write(part)
            os.replace(part, target)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}") from error
