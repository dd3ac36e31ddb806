"""What the scripts share: arguments, one-line errors, threads and device."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import threadpoolctl
import torch

from .errors import UserError

__all__ = ["ArgumentParser", "at_least", "pick_device", "run_script", "set_threads"]


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with a one-line error and no abbreviated options."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"allow_abbrev": False} | kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def at_least(low: int) -> Callable[[str], int]:
    """An argument type: an integer not below `low`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"an integer is wanted, got '{text}'") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {value}")
        return value

    return convert


def set_threads(threads: int) -> None:
    """Limits this process to so many threads: torch, BLAS, and the OpenMP of sklearn and faiss."""
    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        UserError: torch cannot put a tensor there.
    """
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


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception like that of Ctrl-C."""


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def run_script(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's main function and exits, with one line for what went wrong.

    The exit code is 2 for a user's error, 130 for Ctrl-C, 143 for SIGTERM, else what `main` returns.
    """
    name = Path(sys.argv[0]).name
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see evaluate.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 2
    except Terminated:
        print(f"{name}: terminated", file=sys.stderr)
        code = 143
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has left (`| head`); the exit must not try to flush again.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        code = 141
    sys.exit(code)
