"""What the scripts share: arguments, one-line errors, threads and device.

Arguments are parsed before torch is loaded, which takes a second: what needs it is imported where it is used.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import io
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .batches import QuerySize, query_size
from .errors import UserError
from .files import one_line

if TYPE_CHECKING:
    import torch


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with a one-line error and no abbreviated options; its description keeps its lines."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        # What has names to choose from: other scripts require files and folders.
        named = re.search("are required: .*--(agent|dataset)", message)
        hint = "; evaluate.py --list shows the names" if named else ""
        self.exit(2, f"{self.prog}: {message}{hint}\n")

    def add(self, name: str, default: object, text: str, **kwargs: Any) -> None:
        """Adds the option `--name`; its help says the default."""
        shown = "" if default is None else f" (default: {default})"
        self.add_argument(f"--{name}", default=default, help=text + shown, **kwargs)


def number(
    fits: Callable[[float], bool], wanted: str, kind: Callable[[str], float] = float
) -> Callable[[str], float]:
    """An argument type: a number that fits; `wanted` says in words which do."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"expected {wanted}, got '{text}'")
        return value

    return convert


def at_least(low: int, high: float = math.inf) -> Callable[[str], float]:
    """An argument type: an integer not below `low`, nor above `high`."""
    wanted = f"a whole number of at least {low}" + f" and at most {high}" * (high < math.inf)
    return number(lambda value: low <= value <= high, wanted, int)


def batch_sizes(text: str) -> QuerySize:
    """An argument type: a query size, such as `10` or `10,20,40`."""
    try:
        return query_size(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def auto_or_count(text: str) -> float | str:
    return text if text == "auto" else at_least(1)(text)


def add_ray_arguments(parser: ArgumentParser) -> None:
    """The options of every script that uses Ray."""
    wanted = "a share from 0 to 1, or a whole number"
    share = number(lambda gpus: 0 <= gpus <= 1 or (gpus > 1 and gpus % 1 == 0), wanted)
    parser.add("address", None, "auto, or ray://<host>:10001, to use a running Ray; by default starts one")
    parser.add("cpus", 1, "cores and threads of each task", type=at_least(1))
    parser.add("gpus", 0, "GPUs of each task, or a share of one", type=share)


#: What the scripts' options can do about a `UserError`, by its `remedy`.
REMEDIES = {
    "data_folder": "put it there, or name its folder with --data_folder",
    "list": "evaluate.py --list shows all",
    "overwrite": "--overwrite 1 runs it again",
    "runs_folder": "choose another --runs_folder",
    "store": "nothing was added; such runs cannot be in one store",
    "settings": "use another --runs_folder, remove it, or make all its runs again with --overwrite 1",
    "target": "name it with --target",
}


def message(error: UserError) -> str:
    """The message of a user's error, with what the script's options can do about it."""
    return f"{error}: {REMEDIES[error.remedy]}" if error.remedy else str(error)


def set_threads(threads: int) -> None:
    """Limits this process to so many threads: torch, BLAS, and the OpenMP of sklearn and faiss."""
    # Only a library that is loaded can be limited. Those of numpy and scipy come with these.
    import faiss  # noqa: F401
    import sklearn  # noqa: F401
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)
    # Makes glibc reuse freed memory (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD) for the next tensors of a few MB.
    # Otherwise their pages are mapped again each time, which doubles the time of a choice by balsa_kl_pairs.
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(-1, 256 << 20)
        mallopt(-3, 32 << 20)


def pick_device(name: str) -> torch.device:
    """The device of a name, `auto` a GPU where there is one; a UserError if torch cannot use it."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"--device {name}: only cpu and cuda are supported")
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"--device {name} is not there: {reason}") from error
    return device


#: What ends a script, and how it says so. SIGHUP is a closed terminal.
_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _SIGNALS[signal.SIGHUP] = "hung up"

#: Seconds after a signal in which others are ignored, so that they do not interrupt saving.
_SECONDS_TO_SAVE = 10.0


def _raise_on_signals() -> None:
    """Has `_SIGNALS` raise a KeyboardInterrupt with their number, but for those that are ignored."""
    last = -math.inf

    def stop(number: int, frame: object) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_TO_SAVE:
            last = time.monotonic()
            raise KeyboardInterrupt(number)

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class _Unfailing(io.FileIO):
    """A stream that takes everything and loses what cannot be written."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            super().write(data)
        return len(data)


def _open_streams() -> None:
    """Opens standard streams that are closed; what cannot be said on standard error must not end a run."""
    if os.name != "nt":
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a table's file would get their number
            os.set_inheritable(number, True)
        os.close(number)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (open until the end)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and os.name != "nt":  # not that of a test
        raw = io.BufferedWriter(_Unfailing(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(
            raw, sys.__stderr__.encoding, errors="backslashreplace", line_buffering=True
        )
        setattr(sys.stderr, "mode", "w")  # noqa: B010 (as `open` sets it; Ray asks for it)


def run_script(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's main function and exits, with one line for what went wrong.

    The exit code is 2 for a user's error, for files that cannot be read or written, and where memory runs
    out, 128 and its number for a signal, else what `main` returns.
    """
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path that is not UTF-8 must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    _raise_on_signals()
    said, code = "", 2
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        said = message(error)
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[0] if interrupt.args else signal.SIGINT
        said, code = _SIGNALS[number], 128 + number
    except BrokenPipeError:  # whoever read our output has left (`| head`)
        code = 141
    except OSError as error:
        where = error.filename or "standard output or a file"
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
            where = "a folder on a file system without locks, choose another"
        said, code = f"{where}: {error.strerror or error}", 2
    except (MemoryError, RuntimeError) as error:
        # Python's own, and what numpy and torch say.
        parts = ("can't start new thread", "can't allocate memory", "out of memory", "bad_alloc")
        if not isinstance(error, MemoryError) and not any(part in str(error) for part in parts):
            raise
        advice = "lower --side_by_side or --threads if it has these, or run fewer processes at once"
        said = f"memory or threads ran out ({one_line(error, 80)}): {advice}"
    finally:
        for number in _SIGNALS:  # the exit must not be interrupted
            signal.signal(number, signal.SIG_IGN)
    if said:
        print(f"{Path(sys.argv[0]).name}: {said}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # the exit must not try to flush again
            sys.stdout.close()
    sys.exit(code)
