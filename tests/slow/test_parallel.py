"""Many processes that write the same tables."""

import random
import time
from pathlib import Path

import pandas as pd
import pytest

from core.runs.tables import read_curves
from tests.slow import load
from tests.builders import FILES
from tests.slow.worker import start

PROCESSES = 8
RUN = ("--agent", "random", "--dataset", "diabetes", "--query_size", "3", "--budget", "6", "--restarts", "1")


@pytest.mark.parametrize("repetition", range(3))
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


def test_killed_writers_leave_nothing_lost_or_torn(tmp_path: Path) -> None:
    """The load script in small: four writers of two experiments, as many of them killed as end."""
    experiments = [("random", 6), ("nf_std", 6)]
    seen = load.disturb(tmp_path / "runs", experiments, 4, random.Random(1), time.monotonic() + 30)
    assert seen["writers killed"] > 0
    assert load.make(tmp_path / "runs", experiments) == load.make(tmp_path / "whole/runs", experiments)
