"""The greedy oracle: each round tries 20 random points and keeps the one that helps most on the TEST SET.

    python evaluate_oracle.py --dataset diabetes

It is no agent, for it sees the test set: a bound on what a choice of single points can do. The results lie in
runs/<Dataset>/Oracle/, a row for each point added; meta.txt says `sees_test_set: true`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import core
from core.cli import (
    ArgumentParser,
    add_experiment_arguments,
    at_least,
    experiment_options,
    run_options,
    run_script,
)
from datasets import DATASETS
from evaluate import summarise


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="evaluate_oracle.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_experiment_arguments(parser, restarts=5)
    parser.add("agent_seed", 1, "seed of the points that are tried", type=at_least(0))
    parser.add("tried", 20, "points tried in each round", type=at_least(1))
    parser.add(
        "budget", None, "points to add instead of the dataset's own number, for trials", type=at_least(1)
    )
    args = parser.parse_args(arguments)
    if not args.dataset:
        parser.error(f"--dataset is needed, one of {', '.join(DATASETS.classes)}")
    return args


def make_experiment(args: argparse.Namespace) -> core.OracleExperiment:
    return core.OracleExperiment(
        budget=args.budget,
        tried=args.tried,
        agent_seed=args.agent_seed,
        **experiment_options(args),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    options = run_options(args)
    experiment = make_experiment(args)
    finished = experiment.run(**options)
    if finished:
        summarise(experiment.folder(args.runs_folder), finished)
        print("the oracle sees the test set: a bound, not an agent")
    return int(len(finished) < args.restarts)


if __name__ == "__main__":
    run_script(main)
