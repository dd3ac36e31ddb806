"""Times runs that are trained side by side, in groups of several sizes.

    python benchmarks/restarts.py --datasets pakinsons --data_folder ../datasets --out restarts.csv

The agent is `random`, the query size 50, the protocol `published`, so that the model is fitted after
each of the `--budget` points. Without a data folder the tables have random content of the real size.
Runs end their fits at different times, so costs are also given by epoch trained. The table in `--out`
grows; what is in it already is not measured again.
"""

import argparse
import os
from collections.abc import Iterator
from functools import partial
from itertools import product

from measure import compare, digits, write_table
from tasks import make_table, make_task_parser

from agents import AGENTS
from core import Environment, Seeds
from core.cli import at_least, run_script, set_threads
from core.models.variations import load_config
from core.training.side_by_side import side_by_side

GROUPS = (1, 5, 10, 25, 50)
QUERY_SIZE = 50
COLUMNS = (
    *("dataset", "budget", "threads", "runs side by side", "CPU seconds a run"),
    *("wall seconds a run", "MB", "CPU ms an epoch"),
)


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "restarts.csv")
    parser.add_argument("--budget", type=at_least(1), default=5, help="points to add in a run")
    parser.add_argument("--groups", nargs="+", type=at_least(1), default=list(GROUPS))
    parser.add_argument("--threads", nargs="+", type=at_least(1), default=sorted({1, os.cpu_count() or 1}))
    return parser.parse_args()


def running(env: Environment) -> int:
    """One run; returns its epochs."""
    agent = AGENTS["random"](QUERY_SIZE, env.seeds, env.protocol)
    state, info = env.reset()
    epochs, done = info["epochs"], False
    while not done:
        state, _, done, _, info = env.step(agent.predict(state))
        epochs += info["epochs"]
    return epochs


def main() -> None:
    args = parse_arguments()

    def measure(dataset: str, budget: int, threads: int) -> Iterator[tuple[object, ...]]:
        """A line for each size of the group."""
        set_threads(threads)
        tables = [make_table(dataset, args.data_folder, Seeds(i)) for i in range(max(args.groups))]
        config = load_config(dataset, "nf")
        epochs: dict[int, int] = {}

        def group(size: int) -> None:
            envs = [Environment(table, config, budget=budget) for table in tables[:size]]
            epochs[size] = sum(side_by_side([partial(running, env) for env in envs]))

        calls = {size: partial(group, size) for size in args.groups}
        group(max(args.groups))  # compiles
        costs = compare(calls, args.repeats)
        for size, cost in costs.items():
            each = (cost.seconds / size, cost.wall_seconds / size, cost.megabytes)
            yield dataset, budget, threads, size, *map(digits, (*each, 1e3 * cost.seconds / epochs[size]))

    write_table(args.out, COLUMNS, product(args.datasets, [args.budget], args.threads), measure)


if __name__ == "__main__":
    run_script(main)
