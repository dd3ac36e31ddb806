"""Compares the agents of a runs folder with the stored reference runs: a leaderboard, and a page with curves.

    python compare.py --runs_folder runs --out compare.html

You only need to run your own agents: the others are in the store.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file

if TYPE_CHECKING:
    from core.report.load import Results


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(prog="compare.py", description=__doc__)
    parser.add("runs_folder", Path("runs"), "your results, with runs_gauss, ... next to it", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the reference runs", type=Path)
    parser.add("out", None, "a page to explore the comparison with", type=Path)
    parser.add_argument("--list_reference", action="store_true", help="list the stored runs and exit")
    return parser.parse_args(arguments)


def wins_over_random(found: Results) -> Iterator[str]:
    """In how many runs your own agents beat `random`, a line for each agent and task."""
    from core.report.comparison import comparable
    from core.report.labels import task_label
    from core.report.load import TASK, groups, own_agents
    from core.report.statistics import wins

    areas = comparable(found).areas
    for task, part in groups(areas, TASK):
        for agent in own_agents(found, task):
            tables = {metric: wins(part, metric) for metric in ("nll", "mae")}
            won = [
                f"{table['won'][agent]} of {table.sum(axis=1)[agent]} runs ({metric.upper()})"
                for metric, table in tables.items()
                if agent in table.index  # not without common runs
            ]
            if won:
                yield f"{agent}: better than random in {', '.join(won)} on {task_label(task)}"


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)

    from core.files import check_target
    from core.report.comparison import comparison_page, print_all, print_reference, why_nothing
    from core.report.load import load_results, own_agents

    if args.out is not None:
        check_target(args.out)
    found = load_results(args.runs_folder, args.store)
    if args.list_reference:
        print_reference(found)
        return
    if not own_agents(found):
        raise UserError(why_nothing(found, args.runs_folder))
    print_all(found, args.runs_folder)
    print("", *wins_over_random(found), sep="\n")
    if args.out is not None:
        text = comparison_page(found, args.runs_folder)
        write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
        print(f"page: {args.out}")


if __name__ == "__main__":
    run_script(main)
