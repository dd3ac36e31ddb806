"""Many writers in one folder, killed at random moments: nothing is lost or torn, and the bytes stay the same.

    python -m tests.reliability.load --minutes 10

20 experiments of 2 runs; each writer takes them in an order of its own. A reader polls all the while.
"""

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from itertools import product
from multiprocessing.process import BaseProcess
from pathlib import Path

from core.errors import UserError
from core.runs.tables import read_curves
from tests.reliability.worker import FILES, files, finish, start

AGENTS = ("random", "coreset", "bald", "nf_std")
QUERY_SIZES = (1, 2, 3, 4, 6)
KILLED = -signal.SIGKILL


def arguments(agent: str, query_size: int, runs: Path) -> list[object]:
    of = ["--agent", agent, "--dataset", "diabetes", "--variation", "gauss", "--query_size", query_size]
    return [*of, "--budget", "12", "--restarts", "2", "--runs_folder", runs]


def poll(folder: Path) -> int:
    """Reads every table that is there; how many. One that is torn raises a UserError."""
    found = [path for path in folder.rglob("*.csv") if path.name in FILES]
    for path in found:
        try:
            assert not read_curves(path).empty
        except UserError:
            if path.exists():  # not one of a run that is just being made anew
                raise
    return len(found)


def finish_all(writers: Iterable[BaseProcess]) -> None:
    """Waits for writers that nobody kills; all must have made their runs."""
    assert all([finish(writer) == 0 for writer in writers])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    experiments = list(product(AGENTS, QUERY_SIZES))
    with tempfile.TemporaryDirectory() as folder:
        runs, whole = Path(folder) / "disturbed/runs", Path(folder) / "whole/runs"
        end = time.monotonic() + 60 * args.minutes
        writers: list[BaseProcess] = []
        codes: Counter[int] = Counter()
        polls = 0
        while time.monotonic() < end:
            while len(writers) < args.writers:
                writers.append(start(arguments(*rng.choice(experiments), runs)))
            time.sleep(rng.uniform(0, 0.5))
            if 2 * codes[KILLED] <= codes.total():  # half of them come to their end, however slow the machine
                rng.choice(writers).kill()
            for writer in [one for one in writers if not one.is_alive()]:
                writers.remove(writer)
                codes[finish(writer)] += 1
            polls += poll(runs.parent)
        for writer in writers:
            writer.kill()
            finish(writer)
        assert set(codes) <= {0, 1, KILLED}, codes  # 1: others had its runs
        finished = len(list(runs.parent.rglob("meta.txt")))
        for place in (runs, whole):
            for i in range(0, len(experiments), 4):
                finish_all([start(arguments(*of, place)) for of in experiments[i : i + 4]])
        assert files(runs.parent) == files(whole.parent)
        assert not list(runs.parent.rglob(".part-*"))
        said = f"{codes[KILLED]} killed, {codes[0]} ended, {codes[1]} ended where others had their runs"
        print(f"{said}, {finished} runs finished meanwhile, {polls} tables polled; equal")


if __name__ == "__main__":
    main()
