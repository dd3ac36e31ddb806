"""Times one refit of 11 epochs, and one test, beside the straightforward way.

    python benchmarks/fit.py --data_folder ../datasets --out fit.csv

Without a data folder the tables have random content of the real size. CPU seconds are those of
one thread; 11 epochs are the mean of the published code. The table in `--out` grows; what is in it
already is not measured again.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import baseline
import torch
from measure import compare, digits, write_table
from tasks import make_environment, make_task_parser

from core import metrics
from core.cli import at_least, run_script, set_threads
from core.training.side_by_side import fit

EPOCHS = 11
COLUMNS = ("dataset", "labelled", "part", "seconds", "MB", "baseline seconds", "baseline MB", "ratio")


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "fit.csv")
    parser.add_argument(
        "--labelled", nargs="+", type=at_least(64), default=[250, 1000], help="sizes of the labelled set"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    set_threads(1)
    torch.manual_seed(1)  # the baseline draws from the global generator

    def measure(dataset: str, labelled: int) -> Iterator[tuple[object, ...]]:
        """A line for the refit, and one for the test."""
        exactly: dict[str, Any] = {"first_epochs": EPOCHS, "later_epochs": EPOCHS, "patience": EPOCHS}
        env = make_environment(dataset, args.data_folder, **exactly)
        data, config, seeds = env.dataset, env.config, env.seeds
        parts = (data.x_train, data.y_train, data.x_val, data.y_val, data.x_test, data.y_test)
        x, y, x_val, y_val, x_test, y_test = map(torch.from_numpy, parts)
        x, y = x[:labelled], y[:labelled]
        generator = seeds.torch("evaluation")

        plain = baseline.Model(x.shape[1], config.dropout)
        optimizer = torch.optim.NAdam(plain.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        ways: dict[str, dict[str, Callable[[], object]]] = {
            "refit": {
                "ours": lambda: fit(env.learner.trainer.request(x, y, x_val, y_val)),
                "baseline": lambda: baseline.fit(plain, optimizer, x, y, x_val, y_val, EPOCHS),
            },
            "test": {
                "ours": lambda: metrics.measure(
                    metrics.evaluate(env.learner.predictor, x_test, y_test, generator)
                ),
                "baseline": lambda: baseline.test(plain, x_test, y_test),
            },
        }
        for part, calls in ways.items():
            cost = compare(calls, args.repeats)
            ours, theirs = cost["ours"], cost["baseline"]
            numbers = (ours.seconds, ours.megabytes, theirs.seconds, theirs.megabytes)
            yield dataset, labelled, part, *map(digits, (*numbers, theirs.seconds / ours.seconds))

    write_table(args.out, COLUMNS, product(args.datasets, args.labelled), measure)


if __name__ == "__main__":
    run_script(main)
