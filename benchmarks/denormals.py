"""Times a refit and the passes of a choice with and without denormal weights, late in a run.

    python benchmarks/denormals.py --datasets diamonds --data_folder ../datasets --out denormals.csv

A model is fitted anew after each of `--points` labelled points, in the order of the table. From there it goes
on in turn as `DensityModel.layers` has it, which leaves out denormal weights, and with all weights: a refit,
and 25 passes of 5,000 rows. Both give the same bits. CPU seconds of one thread.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import torch
from fit import EPOCHS
from measure import compare, digits, write_table
from tasks import make_environment, make_task_parser

from core.cli import at_least, run_script, set_threads
from core.models import networks
from core.models.predictor import Predictor
from core.training.lockstep import fit

ROWS, PASSES = 5000, 25
COLUMNS = ("dataset", "points", "part", "denormal weights", "seconds with all", "seconds", "ratio")


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "denormals.csv")
    parser.add_argument("--points", type=at_least(1), default=100, help="fits before those that are timed")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    set_threads(1)

    def measure(dataset: str, points: int) -> Iterator[tuple[object, ...]]:
        exactly: dict[str, Any] = {"later_epochs": EPOCHS, "patience": EPOCHS}
        env = make_environment(dataset, args.data_folder, **exactly)
        data, trainer = env.dataset, env.learner.trainer
        x, y, x_val, y_val = map(torch.from_numpy, (data.x_train, data.y_train, data.x_val, data.y_val))
        last = data.seed_set + points
        for labelled in range(data.seed_set, last):
            fit(trainer, x[:labelled], y[:labelled], x_val, y_val)
        theta = trainer.model.theta.detach()
        share = ((theta != 0) & (theta.abs() < networks.DENORMAL)).double().mean().item()

        def refit() -> None:
            fit(trainer.copy(), x[:last], y[:last], x_val, y_val)

        def passes() -> None:
            Predictor(trainer.model).passes(x[-ROWS:], PASSES, env.seeds.torch("agent"))

        def with_all(part: Callable[[], None]) -> None:
            with mock.patch.multiple(networks, _NEGLIGIBLE=0.0, DENORMAL=0.0):
                part()

        for part in (refit, passes):
            cost = compare({"all": partial(with_all, part), "ours": part}, args.repeats)
            with_them, without = cost["all"].seconds, cost["ours"].seconds
            numbers = (share, with_them, without, with_them / without)
            yield dataset, points, part.__name__, *map(digits, numbers)

    write_table(args.out, COLUMNS, ((dataset, args.points) for dataset in args.datasets), measure)


if __name__ == "__main__":
    run_script(main)
