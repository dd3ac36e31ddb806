"""Writing files so that a reader never sees half of one."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["beside", "write_file"]


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


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file beside `target`, then renames it to `target`."""
    with beside(target) as part:
        write(part)
        os.replace(part, target)
