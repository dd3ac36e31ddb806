"""Puts the agents of a runs folder among the stored reference runs: a leaderboard, and a page with curves.

    python compare.py --runs_folder runs --out compare.html

Only your own agents need to be run: the baselines are in the store.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("runs_folder", Path("runs"), "one's own results, and in runs_gauss, ... beside it", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the reference runs", type=Path)
    parser.add("out", None, "a page to explore the comparison with", type=Path)
    parser.add_argument("--list_reference", action="store_true", help="says what is in the store, and ends")
    return parser.parse_args(arguments)


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
    if args.out is not None:
        text = comparison_page(found, args.runs_folder)
        write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
        print(f"\npage: {args.out}")


if __name__ == "__main__":
    run_script(main)
