"""Trains on the whole train set: the 'full dataset' line of the study's figures.

    python compute_upper_bound.py --dataset pakinsons

Results go to runs/<Dataset>/UpperBound/, one row per epoch; the last row is the upper bound.
"""

from collections.abc import Sequence

from core.cli import run_script
from core.options import DATA, make_parser
from evaluate import make_runs


def main(arguments: Sequence[str] | None = None) -> int:
    names = (*DATA, "variation", "protocol", "pool_seed", "model_seed", "epoch_limit")
    parser = make_parser("compute_upper_bound.py", __doc__, names, restarts=15)
    parser.set_defaults(agent="full_data")
    return make_runs(parser.parse_args(arguments))


if __name__ == "__main__":
    run_script(main)
