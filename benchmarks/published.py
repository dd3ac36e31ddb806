"""Compares the speed of the published code with ours, if you have a clone of it.

    python benchmarks/published.py --code ../BALSA --data_folder ../datasets --agents random bald_point

The two take turns, each in a process of its own, to add the first points of run 1 with query size 1. Prints
CPU seconds per point and their ratio. The first `WARM_UP` points do not count, since ours compiles then. The
published code needs properscoring, and gym, which gymnasium replaces here. It expects its own layout of the
data folder: `pakinsons_raw/parkinsons_updrs.data`, and a file `pakinsons_raw.zip`, which may be empty.
"""

import argparse
import contextlib
import json
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from measure import ROOT, digits

from core.cli import ArgumentParser, at_least, run_script
from core.errors import UserError

WARM_UP = 5


class EnoughError(Exception):
    """The points are made; what the published code does with them does not matter here."""


class Loop:
    """In place of the bar around the loop of evaluate.py: ends it early, and times each round."""

    points = 40
    published = False
    seconds: list[float]

    def __init__(self, rounds: Sequence[int], *_: Any, **options: Any) -> None:
        self.rounds = rounds

    def __iter__(self) -> Iterator[int]:
        Loop.seconds = []
        for one in islice(self.rounds, self.points):
            begin = time.process_time()
            yield one
            Loop.seconds.append(time.process_time() - begin)
        if self.published:
            raise EnoughError

    def set_postfix(self, *_: Any, **values: Any) -> None:
        """Nothing is shown."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add("code", None, "folder of the published code", type=Path, required=True)
    parser.add_argument("--agents", nargs="+", default=["random", "balsa_kl_pairs", "bald_point"])
    parser.add("dataset", "pakinsons", "dataset")
    parser.add("data_folder", Path("../datasets"), "where its files lie", type=Path)
    parser.add("points", 40, "points to add", type=at_least(WARM_UP + 1))
    parser.add("repeats", 3, "times to run each", type=at_least(1))
    parser.add_argument("--in_process", choices=("published", "ours"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def make_points(args: argparse.Namespace) -> None:
    """In a process of its own: makes the points with one code, and prints the seconds of each."""
    import torch

    torch.set_num_threads(1)
    Loop.points = args.points
    typed = ["--agent", args.agents[0], "--dataset", args.dataset, "--query_size", "1", "--restarts", "1"]
    typed += ["--data_folder", str(args.data_folder)]
    if args.in_process == "ours":
        import evaluate

        evaluate.tqdm = Loop  # type: ignore[misc, assignment]
        evaluate.main([*typed, "--budget", str(args.points), "--device", "cpu"])
    else:
        import gymnasium
        import tqdm

        # Its own modules, of which some are called as ours.
        for name in [
            name for name in sys.modules if name.partition(".")[0] in ("core", "agents", "datasets")
        ]:
            del sys.modules[name]
        sys.modules["gym"], tqdm.tqdm = gymnasium, Loop  # type: ignore[assignment, misc]
        if not find_spec("torchvision"):  # its classes for images ask for it; tables do not use them
            names = ("torchvision", "torchvision.transforms", "torchvision.models", "torchvision.datasets")
            sys.modules.update(dict.fromkeys(names, MagicMock()))
        sys.path[:] = [str(args.code), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
        sys.argv = [str(args.code / "evaluate.py"), *typed]
        Loop.published = True
        with contextlib.suppress(EnoughError):
            runpy.run_path(sys.argv[0], run_name="__main__")
    print(json.dumps(Loop.seconds))


def seconds_a_point(args: argparse.Namespace, code: str, agent: str) -> float:
    """CPU seconds of the mean point; a UserError with the last line of what the code said if it fails."""
    typed = ["--code", args.code.resolve(), "--agents", agent, "--dataset", args.dataset]
    typed += ["--data_folder", args.data_folder.resolve(), "--points", args.points, "--in_process", code]
    with tempfile.TemporaryDirectory() as folder:  # for the files of the run
        if code == "published":  # it reads its configurations from the working directory
            ignored = shutil.ignore_patterns(".git", "runs")
            shutil.copytree(args.code, folder, ignore=ignored, dirs_exist_ok=True)
        command = [sys.executable, __file__, *map(str, typed)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UserError(f"{code} code, {agent}: {last}")
    seconds = json.loads(done.stdout.strip().splitlines()[-1])
    if len(seconds) <= WARM_UP:
        raise UserError(f"{code} code, {agent}: it made {len(seconds)} points")
    return statistics.mean(seconds[WARM_UP:])


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    if args.in_process:
        return make_points(args)
    if not (args.code / "evaluate.py").exists():
        raise UserError(f"--code {args.code} has no evaluate.py")
    print("agent\tpublished\tours\tratio")
    for agent in args.agents:
        found: dict[str, list[float]] = {"published": [], "ours": []}
        for _ in range(args.repeats):
            for code, seconds in found.items():
                seconds.append(seconds_a_point(args, code, agent))
        theirs, ours = (statistics.median(seconds) for seconds in found.values())
        print(agent, digits(theirs), digits(ours), f"{theirs / ours:.1f}", sep="\t", flush=True)


if __name__ == "__main__":
    run_script(main)
