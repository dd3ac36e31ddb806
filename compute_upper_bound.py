"""Trains on the whole train set: the 'full dataset' line of the study's figures.

    python compute_upper_bound.py --dataset pakinsons

Results go to runs/<Dataset>/UpperBound/, one row per epoch; the last row is the upper bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.cli import run_script
from core.options import DATA, parse_baseline
from evaluate import make_runs, over_runs, read_tables


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = (*DATA, "variation", "protocol", "pool_seed", "model_seed", "epoch_limit")
    return parse_baseline("compute_upper_bound.py", __doc__, "full_data", names, 15, arguments)


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    """The metrics after the last epoch: mean and standard deviation over the runs."""
    last = {label: table.ffill().iloc[-1] for label, table in read_tables(folder, run_ids).items()}
    print(f"upper bound {over_runs(last)}")
    print(f"results: {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    return make_runs(parse_arguments(arguments), summarise)


if __name__ == "__main__":
    run_script(main)
