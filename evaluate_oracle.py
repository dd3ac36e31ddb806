"""The greedy oracle: each round tries 20 random points and keeps the one that helps most on the TEST SET.

    python evaluate_oracle.py --dataset diabetes

It sees the test set, so it is not an agent but a rough bound on what choosing one point at a time can gain.
Results go to runs/<Dataset>/Oracle/, one row per added point; meta.txt says `sees_test_set: true`.
"""

from collections.abc import Sequence

from core.cli import run_script
from core.options import DATA, SEEDS, make_parser
from evaluate import make_runs


def main(arguments: Sequence[str] | None = None) -> int:
    names = (*DATA, "variation", "protocol", "budget", "tried", *SEEDS)
    parser = make_parser("evaluate_oracle.py", __doc__, names, restarts=5)
    parser.set_defaults(agent="oracle")
    return make_runs(parser.parse_args(arguments))


if __name__ == "__main__":
    run_script(main)
