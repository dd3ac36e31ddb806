"""Processes that run experiments: real ones, forked from a server that has imported torch."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import torch

import core.files
import core.runs.checkpoint
import evaluate
from core import EnvironmentLogger
from core.cli import run_script

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.slow.worker"])

# Imported here, once, instead of in each process.
assert core.AGENTS.classes
assert core.DATASETS.classes


def start(
    arguments: Sequence[object],
    said: Path = Path(os.devnull),
    checkpoints_every: float = 0.0,
    die_at_rename_of: str = "nothing",
    stop_at_step: int = 0,
) -> BaseProcess:
    """A process that runs evaluate.py.

    Args:
        said: file that takes what it prints.
        checkpoints_every: seconds.
        die_at_rename_of: end of a path; it kills itself when that file has been written and not yet renamed.
        stop_at_step: it stops itself before that step, counted over all its runs from 1, until it is sent
            SIGCONT (`wait_until_stopped`): whatever the machine is busy with, it is not over before.
    """
    words = [str(a) for a in arguments]
    process = _context.Process(
        target=_work, args=(words, said, checkpoints_every, die_at_rename_of, stop_at_step)
    )
    process.start()
    return process


def _work(
    arguments: list[str], said: Path, checkpoints_every: float, die_at_rename_of: str, stop_at_step: int
) -> None:
    torch.set_num_threads(1)
    core.runs.checkpoint.SECONDS_BETWEEN_WRITES = checkpoints_every
    rename = os.replace

    def replace(part: Path | str, target: Path | str) -> None:
        if str(target).endswith(die_at_rename_of):
            os.kill(os.getpid(), signal.SIGKILL)
        rename(part, target)

    steps, step = count(1), EnvironmentLogger.step

    def stopping(self: EnvironmentLogger, action: Any) -> Any:
        if next(steps) == stop_at_step:
            os.kill(os.getpid(), signal.SIGSTOP)
        return step(self, action)

    # Replaced for good: this process is the run's own.
    os.replace = replace  # type: ignore[assignment]
    EnvironmentLogger.step = stopping  # type: ignore[method-assign]
    sys.argv = ["evaluate.py", *arguments]
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    run_script(lambda: evaluate.main(arguments))


def finish(process: BaseProcess) -> int:
    """Its exit code; minus the signal's number if it was killed."""
    process.join(120)
    assert process.exitcode is not None, "still running after two minutes"
    return process.exitcode


def wait_until_stopped(process: BaseProcess) -> int:
    """Its number, once it has stopped itself."""
    assert process.pid is not None
    of_system = psutil.Process(process.pid)
    wait_for(lambda: of_system.status() == psutil.STATUS_STOPPED)
    return process.pid


def wait_for(happened: Callable[[], object], seconds: float = 120) -> None:
    """Returns as soon as it has."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"{seconds:g} seconds have passed"
        time.sleep(0.005)
