"""Many processes that write the same tables, some of them killed: nothing is lost or torn."""

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest

from core.errors import UserError
from core.runs.files import read_curves
from tests.builders import FILES, files
from tests.slow.worker import finish, start

PROCESSES, WRITERS = 8, 32
KILLED = -signal.SIGKILL
RUN = ("--agent", "random", "--dataset", "diabetes", "--query_size", "3", "--budget", "6", "--restarts", "1")


@pytest.mark.parametrize("repetition", range(2))
def test_eight_processes_lose_nothing(tmp_path: Path, repetition: int) -> None:
    """A reader polls all the while, and never sees a torn table or one with a column less."""
    folder = tmp_path / "Diabetes/3/RandomAgent"
    run_ids = random.Random(repetition).sample(range(5, 5 + PROCESSES), PROCESSES)  # 10 is not before 5
    processes = [start([*RUN, "--run_id", i, "--runs_folder", tmp_path]) for i in run_ids]
    columns = dict.fromkeys(FILES, 0)
    polls = 0
    while any(process.is_alive() for process in processes):
        for file in FILES:
            if (folder / file).exists():
                table = read_curves(folder / file)
                assert list(table.index) == list(range(7))
                assert not table.loc[[0, 3, 6]].isna().any(axis=None)
                assert len(table.columns) >= columns[file]
                columns[file] = len(table.columns)
                polls += 1
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert polls > 0
    for file in FILES:
        table = read_curves(folder / file)
        assert list(table.columns) == [f"run_{i}" for i in sorted(run_ids)]
        for i in run_ids:
            of_run = read_curves(folder / f"run_{i}" / file)
            pd.testing.assert_frame_equal(table[[f"run_{i}"]], of_run)


def arguments(agent: str, query_size: int, runs: Path) -> list[object]:
    of = ["--agent", agent, "--dataset", "diabetes", "--variation", "gauss", "--query_size", query_size]
    return [*of, "--budget", "12", "--restarts", "2", "--runs_folder", runs]


def poll(folder: Path) -> None:
    """Reads every table that is there. One that is torn raises a UserError."""
    for path in [path for path in folder.rglob("*.csv") if path.name in FILES]:
        try:
            assert not read_curves(path).empty
        except UserError:
            if path.exists():  # not one of a run that is just being made anew
                raise


def make(runs: Path, experiments: Sequence[tuple[str, int]]) -> dict[str, bytes]:
    """Makes all experiments that are not finished, undisturbed, four at a time; their tables."""
    for i in range(0, len(experiments), 4):
        writers = [start(arguments(*of, runs)) for of in experiments[i : i + 4]]
        assert all([finish(writer) == 0 for writer in writers])
    assert not list(runs.parent.rglob(".part-*"))
    return files(runs.parent)


def disturb(
    runs: Path, experiments: Sequence[tuple[str, int]], count: int, rng: random.Random, end: float
) -> int:
    """So many writers at a time, until all runs are finished or the time is over; then all are killed.

    As many are killed as end by themselves: else nothing would ever be finished on a slow machine.

    Args:
        end: in seconds of the monotonic clock.

    Returns:
        How many were killed before.
    """
    writers: list[BaseProcess] = []
    codes: Counter[int] = Counter()
    finished = 0
    while time.monotonic() < end and finished < 2 * len(experiments):
        while len(writers) < count:
            writers.append(start(arguments(*rng.choice(experiments), runs)))
        time.sleep(rng.uniform(0, 0.5))
        for _ in range(codes.total() - 2 * codes[KILLED] + 1):
            rng.choice(writers).kill()
        for writer in [one for one in writers if not one.is_alive()]:
            writers.remove(writer)
            codes[finish(writer)] += 1
        poll(runs.parent)
        finished = len(list(runs.parent.rglob("meta.txt")))
    for writer in writers:
        writer.kill()
        finish(writer)
    assert set(codes) <= {0, 1, KILLED}, codes  # 1: others had its runs
    return codes[KILLED]


def test_killed_writers_leave_nothing_lost_or_torn(tmp_path: Path) -> None:
    """32 of them at a time, a reader polling all the while; what is left then is made undisturbed."""
    experiments = list(product(("random", "nf_std"), (2, 3, 6)))
    killed = disturb(tmp_path / "runs", experiments, WRITERS, random.Random(1), time.monotonic() + 60)
    assert killed > 0
    assert make(tmp_path / "runs", experiments) == make(tmp_path / "whole/runs", experiments)
