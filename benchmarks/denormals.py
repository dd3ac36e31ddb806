"""Times a refit late in a run with and without denormal weights.

    python benchmarks/denormals.py --datasets diamonds --data_folder ../datasets --out denormals.csv

A model is refitted after each of `--points` labelled points: once with the optimiser as it is, which sets
negligible numbers to zero, and once with all of them kept. Then further refits of both are timed in turn.
CPU seconds of one thread.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from fit import EPOCHS
from measure import compare, digits, write_table
from tasks import make_environment, make_task_parser

from core.cli import at_least, run_script, set_threads
from core.training import nadam
from core.training.side_by_side import fit

COLUMNS = ("dataset", "points", "denormal weights", "seconds with them", "seconds", "ratio")


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "denormals.csv")
    parser.add_argument("--points", type=at_least(1), default=100, help="fits before those that are timed")
    return parser.parse_args()


def refitting(dataset: str, args: argparse.Namespace, negligible: float) -> tuple[Callable[[], None], float]:
    """What refits a model late in a run, and the share of its weights that are denormal.

    Args:
        negligible: the optimiser sets smaller numbers to zero.
    """
    exactly: dict[str, Any] = {"later_epochs": EPOCHS, "patience": EPOCHS}
    env = make_environment(dataset, args.data_folder, **exactly)
    data, trainer = env.dataset, env.learner.trainer
    x, y, x_val, y_val = map(torch.from_numpy, (data.x_train, data.y_train, data.x_val, data.y_val))
    last = data.seed_set + args.points

    def refit() -> None:
        with mock.patch.object(nadam, "NEGLIGIBLE", negligible):
            fit(trainer.copy().request(x[:last], y[:last], x_val, y_val))

    with mock.patch.object(nadam, "NEGLIGIBLE", negligible):
        for labelled in range(data.seed_set, last):
            fit(trainer.request(x[:labelled], y[:labelled], x_val, y_val))
    theta = trainer.model.theta.detach()
    denormal = (theta != 0) & (theta.abs() < torch.finfo(theta.dtype).tiny)
    return refit, denormal.double().mean().item()


def main() -> None:
    args = parse_arguments()
    set_threads(1)

    def measure(dataset: str, points: int) -> Iterator[tuple[object, ...]]:
        kept, share = refitting(dataset, args, 0.0)
        zeroed, _ = refitting(dataset, args, nadam.NEGLIGIBLE)
        cost = compare({"kept": kept, "zeroed": zeroed}, args.repeats)
        with_them, without = cost["kept"].seconds, cost["zeroed"].seconds
        yield dataset, points, *map(digits, (share, with_them, without, with_them / without))

    write_table(args.out, COLUMNS, ((dataset, args.points) for dataset in args.datasets), measure)


if __name__ == "__main__":
    run_script(main)
