"""The greedy oracle: each round tries 20 random points and keeps the one that helps most on the TEST SET.

    python evaluate_oracle.py --dataset diabetes

It sees the test set, so it is not an agent but a rough bound on what choosing one point at a time can gain.
Results go to runs/<Dataset>/Oracle/, one row per added point; meta.txt says `sees_test_set: true`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import evaluate
from core.cli import run_script
from core.options import DATA, SEEDS, make_parser


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    evaluate.summarise(folder, run_ids)
    print("the oracle sees the test set: it is a rough bound, not an agent")


def main(arguments: Sequence[str] | None = None) -> int:
    names = (*DATA, "variation", "protocol", "budget", "tried", *SEEDS)
    parser = make_parser("evaluate_oracle.py", __doc__, names, restarts=5)
    parser.set_defaults(agent="oracle")
    return evaluate.make_runs(parser.parse_args(arguments), summarise)


if __name__ == "__main__":
    run_script(main)
