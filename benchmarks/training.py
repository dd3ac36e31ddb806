"""Compares ways to train: the curves of `random` under each, and what they cost.

    python benchmarks/training.py --datasets pakinsons --data_folder ../datasets --out training.csv

`corrected` is that protocol's training; each other way changes keys of the published configuration
(`TRAININGS`). Runs 1 to 3 at query size 50 are trained side by side; MAE and NLL are means over them on the
test set, after 200, 300, 600 and 1,000 labels. CPU seconds are those of one run on one thread. `yardstick`
ways wait for 300 epochs without a new minimum and keep the best weights.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from measure import digits, write_table
from tasks import make_table, make_task_parser

from agents import AGENTS
from core import CORRECTED, PUBLISHED, Environment, Seeds
from core.cli import run_script, set_threads
from core.models.variations import load_config
from core.training.side_by_side import side_by_side

RUNS, QUERY_SIZE, BUDGET = (1, 2, 3), 50, 800
#: Labels at which errors are shown, by rounds.
ROUNDS = {200: 0, 300: 2, 600: 8, 1000: 16}
COLUMNS = (
    *("dataset", "training", "agent", "CPU seconds", "epochs"),
    *(f"{metric} {labels}" for metric in ("MAE", "NLL") for labels in ROUNDS),
    *("AUC of NLL", "its sd over runs"),
)

_LONG = {"best_weights": True, "first_epochs": 20_000, "later_epochs": 20_000}
_AVERAGED = {**_LONG, "average": 0.99, "watched_rows": 1000, "check_every": 3}
#: What each way changes. Patience counts validations: of every third epoch where they are averaged.
TRAININGS: dict[str, dict[str, Any]] = {
    "5 epochs, last weights": {},
    "patience 30": {**_LONG, "patience": 30},
    "yardstick, lr .001": {**_LONG, "patience": 300, "lr": 0.001, "watched_rows": 1000},
    "yardstick, lr .003": {**_LONG, "patience": 300, "lr": 0.003, "watched_rows": 1000},
    "averaged, 30 epochs, lr .001": {**_AVERAGED, "patience": 10, "lr": 0.001},
    "averaged, 30 epochs, lr .002": {**_AVERAGED, "patience": 10, "lr": 0.002},
    "averaged, 30 epochs, lr .003": {**_AVERAGED, "patience": 10, "lr": 0.003},
    "averaged, 45 epochs, lr .002": {**_AVERAGED, "patience": 15, "lr": 0.002},
    "averaged, 45 epochs, lr .003": {**_AVERAGED, "patience": 15, "lr": 0.003},
    "averaged, 60 epochs, lr .003": {**_AVERAGED, "patience": 20, "lr": 0.003},
}


#: The training of the protocol itself.
CORRECTED_TRAINING = "corrected"


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "training.csv")
    ways = [CORRECTED_TRAINING, *TRAININGS]
    parser.add_argument("--trainings", nargs="+", choices=ways, default=ways)
    parser.add_argument("--agent", choices=AGENTS.classes, default="random")
    return parser.parse_args()


def curve(env: Environment, agent: Any) -> list[tuple[float, float, int]]:
    """MAE, NLL and epochs of each round of a run."""
    state, info = env.reset()
    found, done = [(info["mae"], info["nll"], info["epochs"])], False
    while not done:
        state, _, done, _, info = env.step(agent.predict(state))
        found.append((info["mae"], info["nll"], info["epochs"]))
    return found


def measure_training(dataset: str, training: str, agent: str, args: argparse.Namespace) -> list[str]:
    """CPU seconds, epochs, errors and areas of one way to train."""
    if training == CORRECTED_TRAINING:
        config = load_config(dataset, "nf", CORRECTED)
    else:
        config = replace(load_config(dataset, "nf", PUBLISHED), **TRAININGS[training])
    config = AGENTS[agent].inject_config(config)
    started, runs = time.process_time(), []
    for run_id in RUNS:
        env = Environment(
            make_table(dataset, args.data_folder, Seeds(run_id)), config, CORRECTED, budget=BUDGET
        )
        runs.append(partial(curve, env, AGENTS[agent](QUERY_SIZE, env.seeds, CORRECTED)))
    found = np.array(side_by_side(runs))  # [runs, rounds, 3]
    seconds = (time.process_time() - started) / len(RUNS)
    shown = found.mean(0)[list(ROUNDS.values()), :2].T
    areas = found[:, :, 1].mean(1)
    numbers = (seconds, found[:, :, 2].sum(1).mean(), *shown.ravel(), areas.mean(), areas.std(ddof=1))
    return [digits(number) for number in numbers]


def main() -> None:
    args = parse_arguments()
    set_threads(1)

    def measure(dataset: str, training: str, agent: str) -> Iterator[tuple[object, ...]]:
        yield dataset, training, agent, *measure_training(dataset, training, agent, args)

    write_table(args.out, COLUMNS, product(args.datasets, args.trainings, [args.agent]), measure)


if __name__ == "__main__":
    run_script(main)
