"""Compares the flow's MAE with that of scikit-learn models trained on the same labels.

    python benchmarks/is_it_trained.py --datasets pakinsons --data_folder ../datasets --out trained.csv

A run of `random` at query size 50 under the protocol `corrected`. After 200, 600 and 1,000 labels its flow
is compared with the constant median of the labels, extremely randomised trees and a Gaussian process, each
fitted to the same labelled points: MAE on the test set, in units of the scaled target. `--config` varies the
training.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import digits, write_table
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from tasks import make_table, make_task_parser

from agents import AGENTS
from core import CORRECTED, Environment, Seeds, State
from core.cli import at_least, run_script, set_threads
from core.config import check_changes, read_file
from core.models.variations import load_config

QUERY_SIZE, BUDGET = 50, 800
#: Points added when the models are compared.
ADDED = (0, 400, 800)
COLUMNS = ("dataset", "run", "labels", "flow", "median", "trees", "Gaussian process", "flow / best")


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "trained.csv")
    parser.add("runs", 1, "runs, from run 1 on", type=at_least(1))
    parser.add("config", None, "YAML file with hyper-parameters that replace the usual ones", type=Path)
    return parser.parse_args()


def others(state: State, env: Environment) -> list[float]:
    """The MAE of the constant median, of trees and of a Gaussian process."""
    x, y = state.x_labeled.cpu().numpy(), state.y_labeled.cpu().numpy()
    x_test, y_test = env.dataset.x_test, env.dataset.y_test
    kernel = ConstantKernel(1.0) * RBF(np.ones(1), (1e-2, 1e3)) + WhiteKernel(1e-2, (1e-8, 1.0))
    models: list[Any] = [
        ExtraTreesRegressor(300, random_state=1),
        GaussianProcessRegressor(kernel, normalize_y=True, random_state=1),
    ]
    predicted = [np.median(y), *(model.fit(x, y).predict(x_test) for model in models)]
    return [float(np.abs(one - y_test).mean()) for one in predicted]


def main() -> None:
    args = parse_arguments()
    set_threads(1)
    changes = {} if args.config is None else check_changes(read_file(args.config), args.config)

    def measure(dataset: str, run_id: int) -> Iterator[tuple[object, ...]]:
        config = replace(load_config(dataset, "nf", CORRECTED), **changes)
        table = make_table(dataset, args.data_folder, Seeds(run_id))
        env = Environment(table, config, CORRECTED, budget=BUDGET)
        agent = AGENTS["random"](QUERY_SIZE, env.seeds, CORRECTED)
        state, info = env.reset()
        while True:
            if info["added"] in ADDED:
                found = others(state, env)
                numbers = (info["mae"], *found, info["mae"] / min(found[1:]))
                yield dataset, run_id, len(state.y_labeled), *map(digits, numbers)
            if env.finished:
                return
            state, _, _, _, info = env.step(agent.predict(state))

    cases = ((dataset, run_id) for dataset in args.datasets for run_id in range(1, args.runs + 1))
    write_table(args.out, COLUMNS, cases, measure)


if __name__ == "__main__":
    run_script(main)
