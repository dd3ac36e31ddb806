"""How far the test split, which all runs share, moves the results: `random` on pakinsons with others.

    python benchmarks/splits.py --data_folder ../datasets
    python benchmarks/splits.py --data_folder ../datasets --protocol published --query_size 1 --budget 100

For each seed of the split (1 is the benchmark's own) the runs go to a folder below `--runs_folder`, and are
gone on with. `--out` gets a row a split: mean over runs, and its standard error, of the area under the curve
(AUC) and of the last value of MAE and NLL. The standard deviation of these rows is what all agents share; the
one of runs within a split is printed beside it.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import pandas as pd
from ablation import numbers
from measure import make_parser

from core import PROTOCOLS, Experiment, dataset, load_results
from core.cli import at_least, run_script


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, "splits.csv")
    parser.add_argument("--splits", type=at_least(1), default=10, help="other splits than the benchmark's")
    parser.add_argument("--restarts", type=at_least(2), default=5)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="corrected")
    parser.add_argument("--query_size", type=at_least(1), default=50)
    parser.add_argument("--budget", type=at_least(1), default=800)
    parser.add_argument("--data_folder", type=Path, default=Path("../datasets"))
    parser.add_argument("--runs_folder", type=Path, default=Path("runs_splits"))
    return parser.parse_args()


def main() -> None:
    """Makes the runs that lack and writes the table."""
    args = parse_arguments()
    experiment = Experiment(
        "pakinsons",
        "random",
        protocol=args.protocol,
        query_size=args.query_size,
        budget=args.budget,
        data_folder=args.data_folder,
    )
    found = []
    for seed in range(1, args.splits + 2):
        folder = args.runs_folder / f"{args.budget}_by_{args.query_size}" / f"split_{seed}" / "runs"
        with patch.object(dataset, "SPLIT_SEED", seed):
            experiment.run(range(1, args.restarts + 1), folder)
        found.append(numbers(load_results(folder).curves).assign(split=seed))
    runs = pd.concat(found)
    runs = runs[runs.protocol == args.protocol]
    table = runs.pivot_table(index="split", columns="number", values="value", aggfunc=["mean", "sem"])
    splits, errors = table["mean"], table["sem"].add_prefix("se of ")
    splits.join(errors).to_csv(args.out, float_format="%.5f", lineterminator="\n")
    within = runs.groupby(["split", "number"])["value"].std().groupby("number").mean()
    others = splits.drop(index=1)
    spread = pd.DataFrame(
        {
            "split 1": splits.loc[1],
            "mean of the others": others.mean(),
            "sd over the others": others.std(),
            "sd of runs": within,
        }
    )
    print(spread.to_string(float_format="{:.4f}".format))


if __name__ == "__main__":
    run_script(main)
