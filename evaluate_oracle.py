"""The greedy oracle: each round tries 20 random points and keeps the one that helps most on the TEST SET.

    python evaluate_oracle.py --dataset diabetes

It is no agent, for it sees the test set: a bound on what a choice of single points can do. The results lie in
runs/<Dataset>/Oracle/, a row for each point added; meta.txt says `sees_test_set: true`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import core
from core.cli import ArgumentParser, add_run_options, run_options, run_script
from core.options import DATA, SEEDS, add_options, options_of
from datasets import DATASETS
from evaluate import play, summarise


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="evaluate_oracle.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, (*DATA, "variation", "protocol", "budget", "tried", *SEEDS))
    add_run_options(parser, restarts=5)
    args = parser.parse_args(arguments)
    if not args.dataset:
        parser.error(f"--dataset is needed, one of {', '.join(DATASETS.classes)}")
    return args


def make_experiment(args: argparse.Namespace) -> core.Experiment:
    return core.Experiment(agent="oracle", query_size=1, **options_of(args))


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    options = run_options(args)
    experiment = make_experiment(args)
    finished = experiment.run(**options, play=partial(play, args=experiment))
    if finished:
        summarise(experiment.folder(args.runs_folder), finished)
        print("the oracle sees the test set: a bound, not an agent")
    return int(len(finished) < args.restarts)


if __name__ == "__main__":
    run_script(main)
