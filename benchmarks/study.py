"""Extrapolates what the whole published study costs on CPUs, in core-hours.

    python benchmarks/study.py --data_folder ../datasets --out study.csv

4 datasets x 3 query sizes x 15 agents x 30 runs x 2 variations, protocol `published`: a refit after every
point, a choice and a test each round. Measured here, with one thread, for one run and for one of 25 side by
side: refits of 11 epochs (the mean of the published code) at 250 and at 1,000 labels, and a test. The choices
are those of docs/performance/acquisition.csv. Without a data folder the tables have random content of the
real size. What is in `--out` already is not measured again. The sweep's estimates use these tables.
"""

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from measure import compare, digits, write_table
from tasks import make_table, make_task_parser

from core import DATASETS, PUBLISHED, Seeds, metrics
from core.cli import run_script, set_threads
from core.models.variations import load_config
from core.sweep.cost import choices
from core.training.trainer import make_trainer, train_stack

EPOCHS, RUNS = 11, 30
LABELLED, SIDE_BY_SIDE = (250, 1000), (1, 25)
QUERY_SIZES = (1, 50, 200)
VARIATIONS = ("nf", "gauss")
AGENTS = ["random", "coreset", "typiclust", "coregcn", "bald", "bald_dist_entropy", "bald_dist_std"]
AGENTS += ["nflows_out", "balsa_kl_grid", "balsa_kl_pairs", "balsa_emd", "balsa_entropy"]
AGENTS += ["nf_conf", "nf_entropy", "nf_std"]
COLUMNS = ("dataset", "variation", "runs side by side", "refit at 250", "refit at 1000", "test")


def measure(
    data_folder: Path | None, repeats: int, dataset: str, variation: str
) -> Iterator[tuple[object, ...]]:
    """A line for one run alone and one for one of a group."""
    fixed: dict[str, Any] = {"first_epochs": EPOCHS, "later_epochs": EPOCHS, "patience": EPOCHS}
    config = replace(load_config(dataset, variation), **fixed)
    tables, trainers = [], []
    for run_id in range(max(SIDE_BY_SIDE)):
        table = make_table(dataset, data_folder, Seeds(run_id))
        tables.append(
            [torch.from_numpy(part) for part in (table.x_train, table.y_train, table.x_val, table.y_val)]
        )
        trainers.append(make_trainer(table.x_train.shape[1], config, PUBLISHED, table.seeds))
    test = torch.from_numpy(table.x_test), torch.from_numpy(table.y_test)

    def refit(runs: int, labelled: int) -> None:
        fits = [
            trainer.request(x[:labelled], y[:labelled], *validation)
            for trainer, (x, y, *validation) in zip(trainers[:runs], tables, strict=False)
        ]
        train_stack(fits)

    generator = table.seeds.torch("evaluation")
    calls: dict[tuple[int, int], Callable[[], object]] = {
        case: partial(refit, *case) for case in product(SIDE_BY_SIDE, LABELLED)
    }
    of_test = 0, 0
    calls[of_test] = lambda: metrics.measure(metrics.evaluate(trainers[0].predictor, *test, generator))
    costs = compare(calls, repeats)
    for runs in SIDE_BY_SIDE:
        refits = [costs[runs, labelled].seconds / runs for labelled in LABELLED]
        yield dataset, variation, runs, *map(digits, (*refits, costs[of_test].seconds))


def core_hours(line: dict[str, str], query_size: int) -> list[float]:
    """Hours of choosing, training and testing in all runs of all agents, of one line of the table."""
    dataset = DATASETS[line["dataset"]]
    rounds, middle = math.ceil(dataset.budget / query_size), dataset.seed_set + dataset.budget / 2
    low, high = (float(line[f"refit at {labelled}"]) for labelled in LABELLED)
    # A refit's cost is linear in the points.
    refit = low + (high - low) * (middle - LABELLED[0]) / (LABELLED[1] - LABELLED[0])
    choosing = sum(choices()[line["dataset"], line["variation"], agent] for agent in AGENTS)
    training, testing = (1 + dataset.budget) * refit, (rounds + 1) * float(line["test"])
    return [RUNS / 3600 * part for part in (rounds * choosing, len(AGENTS) * training, len(AGENTS) * testing)]


def main() -> None:
    args = make_task_parser(__doc__, "study.csv").parse_args()
    set_threads(1)
    write_table(
        args.out,
        COLUMNS,
        product(args.datasets, VARIATIONS),
        partial(measure, args.data_folder, args.repeats),
    )
    columns = ("dataset", "query size", "variation", "runs side by side", "choosing", "training", "testing")
    print()
    print(*columns, sep="\t")
    totals = dict.fromkeys(SIDE_BY_SIDE, 0.0)
    with args.out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line, query_size in product(lines, QUERY_SIZES):
        runs, hours = line["runs side by side"], core_hours(line, query_size)
        totals[int(runs)] += sum(hours)
        print(line["dataset"], query_size, line["variation"], runs, *map(digits, hours), sep="\t")
    for size, total in totals.items():
        print(f"{size} runs side by side: {total:.0f} core-hours")


if __name__ == "__main__":
    run_script(main)
