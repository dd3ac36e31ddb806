"""Trains on the whole train part: the 'full dataset' line of the study's figures.

    python compute_upper_bound.py --dataset pakinsons

The results lie in runs/<Dataset>/UpperBound/, one row an epoch; the last row is the upper bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import core
from core.cli import ArgumentParser, add_run_options, run_options, run_script
from core.options import DATA, add_options, options_of
from datasets import DATASETS
from evaluate import play


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="compute_upper_bound.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, (*DATA, "variation", "protocol", "pool_seed", "model_seed", "epoch_limit"))
    add_run_options(parser, restarts=15)
    args = parser.parse_args(arguments)
    if not args.dataset:
        parser.error(f"--dataset is needed, one of {', '.join(DATASETS.classes)}")
    return args


def make_experiment(args: argparse.Namespace) -> core.Experiment:
    return core.Experiment(agent="full_data", query_size=1, **options_of(args))


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    """The metrics after the last epoch: mean and standard deviation over the runs."""
    from core.metrics import METRICS
    from core.runs.tables import read_curves

    columns = [f"run_{run_id}" for run_id in run_ids]
    parts = []
    for metric in (METRICS[name] for name in ("mae", "nll", "crps")):
        last = read_curves(folder / metric.file)[columns].ffill().iloc[-1]
        spread = f" +- {last.std():.4f}" if len(columns) > 1 else ""
        parts.append(f"{metric.label} {last.mean():.4f}{spread}")
    print(f"upper bound over {len(columns)} run{'s' * (len(columns) > 1)}: {', '.join(parts)}")
    print(f"results: {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    options = run_options(args)
    experiment = make_experiment(args)
    finished = experiment.run(**options, play=partial(play, args=experiment))
    if finished:
        summarise(experiment.folder(args.runs_folder), finished)
    return int(len(finished) < args.restarts)


if __name__ == "__main__":
    run_script(main)
