"""Files: written so that a reader never sees half of one.

After a power cut a disk has what was fsynced, files and the folders that name them separately (Pillai et al.,
All File Systems Are Not Created Equal, OSDI 2014).
"""

import errno
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from .errors import UserError

#: For pandas' `read_csv`: before 3.0 it reads most floats an ulp off without this; since then it warns.
EXACT_FLOATS: dict[str, Any] = (
    {} if int(version("pandas").split(".")[0]) >= 3 else {"float_precision": "round_trip"}
)


class UnusableError(UserError):
    """A file cannot be used; the text says what was found and what was expected, on one line."""


def one_line(error: object, limit: int = 200) -> str:
    """The text of an error on one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


@contextmanager
def temporary(target: Path) -> Iterator[Path]:
    """A temporary path in the folder of `target`, with its ending, for `commit`; removed at the end."""
    part = target.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}-{target.name}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Removes temporary files of killed processes; nobody else may be writing in this folder."""
    for part in folder.glob(".part-*"):
        part.unlink()


def commit(parts: Mapping[Path, Path]) -> None:
    """Renames files, each from its key to its value; when this returns, they outlive a power cut."""
    for part in parts:
        _sync(part, os.O_RDWR)  # Windows synchronises no file that is open for reading alone
    for part, target in parts.items():
        os.replace(part, target)
    for folder in {target.parent for target in parts.values()} if os.name != "nt" else ():
        try:
            _sync(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process removed it
            continue
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
                raise


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_files(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Has each function write a temporary file, then renames all of them once all are written.

    A UserError if that fails; if writing fails, the old files are still there.
    """
    target = Path()
    try:
        with ExitStack() as stack:
            parts = {}
            for target, write in files.items():
                part = stack.enter_context(temporary(target))
                write(part)
                parts[part] = target
            commit(parts)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}") from error


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """`write_files` for a single file."""
    write_files({target: write})


def remove(*paths: Path) -> None:
    """Removes files, those that are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raises a UserError unless files can be written to a folder, or to a new one of that name."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        if not there.stat().st_mode & 0o222:  # root could write there all the same
            raise PermissionError(errno.EACCES, "it is read-only")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error


def check_target(path: Path, *read: Path) -> None:
    """Raises a UserError if a file cannot be written, or would replace one of those that are read."""
    if path.is_dir() or not path.parent.is_dir():
        reason = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise UserError(f"{path} cannot be written: {reason}")
    if any(path.exists() and one.exists() and path.samefile(one) for one in read):
        raise UserError(f"{path} would replace a table that is read; choose another name")
    check_writable(path.parent)


def read_bytes(path: Path) -> bytes:
    """The content of a file; a UserError if it is a folder or the like."""
    if path.exists() and not path.is_file():  # reading from a FIFO waits for ever
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}")
    return path.read_bytes()


def parse_yaml(content: bytes) -> Any:
    """The plain values in a YAML file; a ValueError of one line if it is not YAML in UTF-8."""
    try:
        return yaml.safe_load(content.decode("utf-8"))
    # PyYAML raises nearly anything on values that do not fit their tags, and on deep nesting.
    except Exception as error:
        raise ValueError(one_line(error)) from error
