"""Writes a page to explore results with: learning curves and a table of the agents, for each task and metric.

    python report.py --runs_folder runs --out report.html

The page is a single file: open it in a browser, or send it by mail. eval_plots.ipynb makes the paper's
figures.
"""

from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import check_target, write_file


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(prog="report.py", description=__doc__)
    parser.add("runs_folder", Path("runs"), "your results (runs_gauss, ... next to it too)", type=Path)
    parser.add("store", None, "reference runs to show too, such as results", type=Path)
    parser.add("out", Path("report.html"), "the page", type=Path)
    args = parser.parse_args(arguments)

    from core.report.load import load_results
    from core.report.page import explorer_page, overview

    check_target(args.out)
    found = load_results(args.runs_folder, args.store)
    if not (args.runs_folder.is_dir() or len(found.runs)):
        beside = f"{args.runs_folder.name}_gauss, ... next to it"
        raise UserError(f"--runs_folder {args.runs_folder} does not exist, nor {beside}")
    runs = overview(found, args.runs_folder)
    text = explorer_page(found, "Results", runs, found.problem_lines)
    write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"{runs}\nreport: {args.out}")


if __name__ == "__main__":
    run_script(main)
