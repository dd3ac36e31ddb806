"""Compares the agents of a runs folder with the stored reference runs: a leaderboard, and a page with curves.

    python compare.py --runs_folder runs --out compare.html

You only need to run your own agents: the others are in the store.
"""

from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import check_target, write_file


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(prog="compare.py", description=__doc__)
    parser.add("runs_folder", Path("runs"), "your results (runs_gauss, ... next to it too)", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the reference runs", type=Path)
    parser.add("out", None, "a page to explore the comparison with", type=Path)
    args = parser.parse_args(arguments)

    from core.report.leaderboard import comparable, comparison_text, why_nothing
    from core.report.load import load_results
    from core.report.page import comparison_page

    if args.out is not None:
        check_target(args.out)
    found = load_results(args.runs_folder, args.store)
    if not found.own_agents():
        raise UserError(why_nothing(found, args.runs_folder))
    here = comparable(found)
    print(comparison_text(found, here, args.runs_folder))
    if args.out is not None:
        text = comparison_page(found, here, args.runs_folder)
        write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
        print(f"page: {args.out}")


if __name__ == "__main__":
    run_script(main)
