"""Writing files so that a reader never sees half of one, and a power cut loses none that was finished.

All that is to outlive this process is written, renamed and removed here. What is on a disk after a power
cut is what was synchronised before it, a file and the folder that names it each for themselves; of what was
not, anything may be there, in any order (Pillai et al., All File Systems Are Not Created Equal, OSDI 2014).
"""

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .errors import UserError

__all__ = ["beside", "commit", "make_folder", "remove", "remove_parts", "write_file", "write_files"]


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A name of one's own in the folder of `target`, to be written and renamed with `commit`.

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


def commit(parts: Mapping[Path, Path]) -> None:
    """Renames files of one folder, in their order; when this returns, they outlive a power cut.

    Args:
        parts: what each of them is to be called, by what it is called now.
    """
    with ThreadPoolExecutor(len(parts)) as pool:  # together they wait for the disk about once
        list(pool.map(_sync_file, parts))
    for part, target in parts.items():
        os.replace(part, target)
    for folder in {target.parent for target in parts.values()}:
        _sync_folder(folder)


def remove(*paths: Path) -> None:
    """Removes files, those that are there; when this returns, they do not come back."""
    found = [path for path in paths if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in found}:
        _sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, where they are not there; they outlive a power cut."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync_folder(one.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:  # Windows synchronises no file that is open for reading alone
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Synchronises the names in a folder, where the system can: Windows does so by itself."""
    if os.name == "nt":
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):  # another process has removed it; it may not be looked into
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(number)


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file beside `target`, then renames it to `target`.

    Raises:
        UserError: that failed; what was there is still there.
    """
    write_files({target: write})


def write_files(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """`write_file` for files of one folder that belong together: none is renamed before all are written.

    Raises:
        UserError: that failed; where it failed in writing, what was there is still there.
    """
    if not files:
        return
    target = next(iter(files))
    try:
        with ExitStack() as stack:
            parts = {}
            for target, write in files.items():
                part = stack.enter_context(beside(target))
                write(part)
                parts[part] = target
            commit(parts)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}") from error
