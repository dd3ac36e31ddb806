"""Many writers in one folder, killed at random moments: nothing is lost or torn, and the bytes stay the same.

    python -m tests.slow.load --minutes 10

20 experiments of 2 runs; each writer takes one of them. A reader polls all the while. What is left when all
have been killed is made undisturbed; then the next round begins, in another folder.
"""

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from multiprocessing.process import BaseProcess
from pathlib import Path

from core.errors import UserError
from core.runs.tables import read_curves
from tests.builders import FILES, files
from tests.slow.worker import finish, start

AGENTS = ("random", "coreset", "bald", "nf_std")
QUERY_SIZES = (1, 2, 3, 4, 6)
EXPERIMENTS = list(product(AGENTS, QUERY_SIZES))
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


def make(runs: Path, experiments: Sequence[tuple[str, int]]) -> dict[str, bytes]:
    """Makes all experiments that are not finished, undisturbed, four at a time; their tables."""
    for i in range(0, len(experiments), 4):
        writers = [start(arguments(*of, runs)) for of in experiments[i : i + 4]]
        assert all([finish(writer) == 0 for writer in writers])
    assert not list(runs.parent.rglob(".part-*"))
    return files(runs.parent)


def disturb(
    runs: Path, experiments: Sequence[tuple[str, int]], count: int, rng: random.Random, end: float
) -> Counter[str]:
    """So many writers at a time, until all runs are finished or the time is over; then all are killed.

    As many are killed as end by themselves: else nothing would ever be finished on a slow machine.

    Args:
        end: in seconds of the monotonic clock.

    Returns:
        How often what has happened.
    """
    writers: list[BaseProcess] = []
    codes: Counter[int] = Counter()
    finished = polled = 0
    while time.monotonic() < end and finished < 2 * len(experiments):
        while len(writers) < count:
            writers.append(start(arguments(*rng.choice(experiments), runs)))
        time.sleep(rng.uniform(0, 0.5))
        for _ in range(codes.total() - 2 * codes[KILLED] + 1):
            rng.choice(writers).kill()
        for writer in [one for one in writers if not one.is_alive()]:
            writers.remove(writer)
            codes[finish(writer)] += 1
        polled += poll(runs.parent)
        finished = len(list(runs.parent.rglob("meta.txt")))
    for writer in writers:
        writer.kill()
        finish(writer)
    assert set(codes) <= {0, 1, KILLED}, codes  # 1: others had its runs
    return Counter(
        {
            "rounds": 1,
            "writers killed": codes[KILLED],
            "writers ended": codes[0] + codes[1],
            "runs finished meanwhile": finished,
            "tables polled": polled,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, seen = random.Random(args.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        wanted = make(Path(folder) / "whole/runs", EXPERIMENTS)
        end = time.monotonic() + 60 * args.minutes
        while time.monotonic() < end:
            runs = Path(folder) / f"round_{seen['rounds']}/runs"
            seen += disturb(runs, EXPERIMENTS, args.writers, rng, end)
            assert make(runs, EXPERIMENTS) == wanted
    print(", ".join(f"{count} {what}" for what, count in seen.items()) + "; equal")


if __name__ == "__main__":
    main()
